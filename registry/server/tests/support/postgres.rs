//! A PostgreSQL server for one test, with a temporary directory and a socket in it instead of a
//! port. Its collation is English, which must not affect the registry.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const USER: &str = "avouch";
const PASSWORD: &str = "correct horse";

/// A running server, which is stopped when dropped.
pub(crate) struct TestPostgres {
    directory: TempDir,
    /// PostgreSQL does not run as root.
    owner: Option<(u32, u32)>,
}

impl TestPostgres {
    /// Creates an empty database and starts a server.
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

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        self.url_with(PASSWORD)
    }

    pub(crate) fn url_with(&self, password: &str) -> String {
        let password = password.replace(' ', "%20");
        let socket = self.directory.path().display();
        format!("postgres://{USER}:{password}@localhost/postgres?host={socket}")
    }

    /// Stops the server at once, as a kill does.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode=immediate"]);
    }

    /// Restarts the server on the same data.
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

/// Returns the directory of the installed server programs, the newest ones of several.
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

/// Returns the user that runs the server if the test runs as root: that of Debian's packages.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = user.expect("the user postgres exists").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
