//! `docs/benchmarks.md`: sections, each made from a JSON file beside it.
//!
//! Owns the page's head, the marks around its sections, and what every run tells of itself: commit,
//! machine, load, rounds.

use crate::{broker_report, contract, log, model_report, registry, report};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;
use std::process::Command;

const HEAD: &str = "# Benchmarks\n\nRatios count; absolute times are context. Each section is made \
    from the JSON under `benchmarks/`. `must` is what we ask \
    of a\nfigure, and whether it is met.\n\n";

/// Under what a bench ran.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    commit: String,
    machine: String,
    /// Runnable tasks in the last minute at the end, this one included.
    load: String,
    rounds: usize,
}

impl Run {
    /// The run that ends now.
    ///
    /// # Errors
    /// Without git or `/proc`.
    pub fn new(rounds: usize) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
        Ok(Self {
            commit: commit()?,
            machine: machine()?,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rounds,
        })
    }

    /// A sentence for the section; the figures are CPU time of `whose`.
    pub(crate) fn sentence(&self, whose: &str) -> String {
        format!("{} of {whose} CPU time.", self.rounds())
    }

    /// The beginning of a sentence for the section, up to the rounds.
    pub(crate) fn rounds(&self) -> String {
        let place = self.place();
        format!("{place}; medians of {} alternating rounds", self.rounds)
    }

    /// The same without the rounds.
    pub(crate) fn place(&self) -> String {
        let Self {
            commit,
            machine,
            load,
            rounds: _,
        } = self;
        format!("Commit {commit}; {machine}; load {load}")
    }
}

/// A part of the page: the name of its JSON file, the recipe that measures it, its text.
struct Section {
    name: &'static str,
    recipe: &'static str,
    text: String,
}

/// The committed figures as the page shows them.
fn sections() -> Result<Vec<Section>> {
    let mut sections = vec![
        Section {
            name: "avro",
            recipe: "bench-avro",
            text: committed::<report::Report>("avro")?.markdown(),
        },
        Section {
            name: "model",
            recipe: "bench-model",
            text: committed::<model_report::Report>("model")?.markdown(),
        },
        Section {
            name: "broker",
            recipe: "bench-broker",
            text: committed::<broker_report::Report>("broker")?.markdown(),
        },
    ];
    if json_path(log::NAME).exists() {
        sections.push(Section {
            name: log::NAME,
            recipe: "bench-log",
            text: log::Report::committed()?.markdown(),
        });
    }
    if json_path(contract::NAME).exists() {
        sections.push(Section {
            name: contract::NAME,
            recipe: "bench-contract",
            text: committed::<contract::Report>(contract::NAME)?.markdown(),
        });
    }
    if json_path(registry::NAME).exists() {
        sections.push(Section {
            name: registry::NAME,
            recipe: "bench-registry",
            text: committed::<registry::Report>(registry::NAME)?.markdown(),
        });
    }
    Ok(sections)
}

/// Puts the committed figures into the page.
///
/// # Errors
/// When a file can't be read or written.
pub fn render() -> Result<()> {
    let path = page_path();
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, rendered(&page)?)?;
    Ok(())
}

fn rendered(page: &str) -> Result<String> {
    let old = page.find("<!-- ").map_or("", |at| &page[at..]);
    let sections = sections()?;
    Ok(sections
        .iter()
        .fold(format!("{HEAD}{old}"), |page, section| {
            section.within(&page)
        }))
}

impl Section {
    /// The page with this section replaced, or added at its end.
    fn within(&self, page: &str) -> String {
        let Self { name, recipe, text } = self;
        let begin = format!("<!-- {name}: made by `just {recipe}`, not by hand -->\n");
        let end = format!("<!-- end of {name} -->\n");
        let whole = format!("{begin}{text}{end}");
        let old = page.split_once(&begin);
        match old.and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1))) {
            Some((before, behind)) => format!("{before}{whole}{behind}"),
            None => format!("{page}{whole}"),
        }
    }
}

/// Writes figures for the page to show.
///
/// # Errors
/// When the file can't be written.
pub fn commit_figures(name: &str, report: &impl Serialize) -> Result<()> {
    let path = json_path(name);
    std::fs::create_dir_all(path.parent().context("a file stands in a folder")?)?;
    let json = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(&path, json).with_context(|| path.display().to_string())
}

pub(crate) fn committed<T: DeserializeOwned>(name: &str) -> Result<T> {
    let path = json_path(name);
    let json = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&json)?)
}

/// Shows figures instead of committing them.
#[expect(clippy::print_stdout, reason = "printing is what it was asked for")]
pub fn print(text: &str) {
    println!("{text}");
}

/// The folder of the checkout that the bench was built in.
#[must_use]
pub fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn page_path() -> PathBuf {
    checkout().join("docs/benchmarks.md")
}

pub(crate) fn json_path(name: &str) -> PathBuf {
    checkout().join(format!("docs/benchmarks/{name}.json"))
}

/// The commit that was measured, with a plus if files differ from it.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(checkout())
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let mark = if is_changed { "+" } else { "" };
    Ok(git(&["rev-parse", "--short=12", "HEAD"])? + mark)
}

fn machine() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown", |(_, value)| value.trim())
    };
    let cores = info.lines().filter(|line| line.starts_with("processor"));
    let (name, family, model) = (field("model name"), field("cpu family"), field("model\t"));
    Ok(format!(
        "{name} (family {family}, model {model}), {} cores, {}",
        cores.count(),
        std::env::consts::ARCH
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_committed_figures() {
        let page = std::fs::read_to_string(page_path()).unwrap();
        assert_eq!(rendered(&page).unwrap(), page, "run `just render`");
    }

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let section = |text: &str| Section {
            name: "x",
            recipe: "bench-x",
            text: text.to_owned(),
        };
        let first = section("one\n").within("head\n");
        let second = section("two\n").within(&format!("{first}tail\n"));
        assert_eq!(
            second,
            "head\n<!-- x: made by `just bench-x`, not by hand -->\ntwo\n<!-- end of x -->\ntail\n"
        );
    }
}
