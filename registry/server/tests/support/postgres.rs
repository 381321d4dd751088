//! A PostgreSQL of a test's own: a private server in a directory that vanishes, on a socket there,
//! so that no port is taken. It sorts text as English does, which the registry must not notice.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const USER: &str = "avouch";
const PASSWORD: &str = "correct horse";

/// A running server; it ends with the value.
pub(crate) struct TestPostgres {
    directory: TempDir,
    /// PostgreSQL refuses to run as root.
    owner: Option<(u32, u32)>,
}

impl TestPostgres {
    /// Makes an empty database and serves it.
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let postgres = Self {
            owner: owner(),
            directory,
        };
        fs::write(postgres.path("password"), PASSWORD).unwrap();
        if let Some((user, group)) = postgres.owner {
            chown(postgres.directory.path(), Some(user), Some(group)).unwrap();
            chown(postgres.path("password"), Some(user), Some(group)).unwrap();
        }
        postgres.run(
            "initdb",
            &[
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--locale-provider=icu",
                "--icu-locale=en-US",
                "--auth=scram-sha-256",
                &format!("--username={USER}"),
                &format!("--pwfile={}", postgres.path("password").display()),
            ],
        );
        postgres.resume();
        postgres
    }

    /// Where a registry finds it.
    pub(crate) fn url(&self) -> String {
        self.url_with(PASSWORD)
    }

    pub(crate) fn url_with(&self, password: &str) -> String {
        let password = password.replace(' ', "%20");
        let socket = self.directory.path().display();
        format!("postgres://{USER}:{password}@localhost/postgres?host={socket}")
    }

    /// Ends the server at once, as if it were killed.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode=immediate"]);
    }

    /// Starts the server again, over the same data.
    pub(crate) fn resume(&self) {
        let options = format!(
            "-c listen_addresses='' -c fsync=off -c unix_socket_directories='{}'",
            self.directory.path().display()
        );
        let log = format!("--log={}", self.path("log").display());
        self.run("pg_ctl", &["start", "--wait", &log, "-o", &options]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(binaries().join(program));
        command
            .args(arguments)
            .arg("-D")
            .arg(self.path("data"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        if self.path("data/postmaster.pid").exists() {
            self.stop();
        }
    }
}

/// The newest server that Debian's packages, or whoever else, put on this machine.
fn binaries() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut packaged: Vec<PathBuf> = packaged
        .map(|version| version.unwrap().path().join("bin"))
        .collect();
    packaged.sort();
    candidates.extend(packaged.into_iter().rev());
    let complete = |candidate: &&PathBuf| {
        let programs = ["initdb", "pg_ctl", "postgres"];
        programs.iter().all(|name| candidate.join(name).exists())
    };
    let found = candidates.iter().find(complete);
    found
        .expect("PostgreSQL is installed: tests/run install")
        .clone()
}

/// Whom the server runs as when the test is root: the user of Debian's packages.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = user.expect("there is a user postgres").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
