//! The images are really built, and the operator's runs as the strictest cluster would run it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tremplin_e2e::image::{self, Image};
use tremplin_e2e::packages::{self, Package};

const MEGABYTE: u64 = 1_000_000;

/// An image laid out as a folder, run by runc. The folder goes with the value.
struct Unpacked {
    folder: PathBuf,
    /// The image's own configuration (OCI image-spec, `config.md`).
    config: Value,
}

impl Unpacked {
    fn new(image: &Image) -> Self {
        let name = image.archive.file_stem().unwrap().to_str().unwrap();
        let folder = std::env::temp_dir().join(format!("tremplin-{name}-{}", std::process::id()));
        let mut unpacked = Self {
            config: Value::Null,
            folder,
        };
        let archive = unpacked.folder.join("archive");
        untar(&image.archive, &archive);
        let manifest = read_json(&archive.join("manifest.json"));
        unpacked.config = read_json(&archive.join(manifest[0]["Config"].as_str().unwrap()));
        for layer in manifest[0]["Layers"].as_array().unwrap() {
            untar(&archive.join(layer.as_str().unwrap()), &unpacked.folder.join("rootfs"));
        }
        unpacked
    }

    /// Runs the entry point with `arguments`: read-only root, no capability, no new privilege, no network.
    fn run(&self, user: &Value, arguments: &[&str]) -> Output {
        let entrypoint = self.config["config"]["Entrypoint"].as_array().unwrap().iter().cloned();
        let args: Vec<Value> = entrypoint
            .chain(arguments.iter().map(|&argument| json!(argument)))
            .collect();
        let namespaces = ["pid", "mount", "ipc", "uts", "network"].map(|kind| json!({"type": kind}));
        let bundle = json!({
            "ociVersion": "1.0.2",
            "process": {"user": user, "args": args, "cwd": "/", "noNewPrivileges": true},
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": namespaces},
        });
        fs::create_dir_all(self.folder.join("rootfs/proc")).unwrap();
        fs::write(self.folder.join("config.json"), bundle.to_string()).unwrap();
        let name = format!("tremplin-image-{}", std::process::id());
        let mut runc = Command::new("runc");
        runc.arg("--root")
            .arg(self.folder.join("state"))
            .args(["run", "--bundle"])
            .arg(&self.folder)
            .arg(name);
        runc.output().unwrap()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn untar(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let done = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .status()
        .unwrap();
    assert!(done.success(), "{}", archive.display());
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[tokio::test]
async fn the_operator_runs_under_any_user_with_a_read_only_root() {
    packages::ensure(&[Package::new("runc", "runc")]).await.unwrap();
    let binary = image::operator_binary().await.unwrap();
    let image = image::operator(&binary, "local").await.unwrap();
    let unpacked = Unpacked::new(&image);
    assert_eq!(unpacked.config["config"]["User"], "65532:0");
    assert_eq!(
        unpacked.config["config"]["Labels"]["org.opencontainers.image.revision"],
        "local"
    );
    // The user of the image, and one of those that OpenShift draws for a namespace.
    for user in [json!({"uid": 65532, "gid": 0}), json!({"uid": 1_000_680_000, "gid": 0})] {
        let output = unpacked.run(&user, &["--help"]);
        let [words, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "{user}: {errors}");
        assert!(words.contains("Usage: tremplin"), "{words}");
    }
    let certificates = fs::read_to_string(unpacked.folder.join("rootfs/etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(certificates.contains("BEGIN CERTIFICATE"));
}

#[tokio::test]
async fn the_operator_and_its_image_stay_small() {
    let program = image::operator_binary().await.unwrap();
    let image = image::operator(&program, "local").await.unwrap();
    let [binary, archive] = [program, image.archive].map(|file| fs::metadata(file).unwrap().len());
    println!("binary {binary} bytes, image {archive} bytes");
    assert!(binary <= 15 * MEGABYTE, "the binary has {binary} bytes");
    assert!(archive <= 20 * MEGABYTE, "the image has {archive} bytes");
}

#[tokio::test]
async fn the_sample_application_is_an_ordinary_image_of_the_asked_version() {
    packages::ensure(&[Package::new("runc", "runc")]).await.unwrap();
    let image = image::sample_app("1.1.0").await.unwrap();
    assert_eq!(image.reference, "ghcr.io/tremplin-dev/sample-app:1.1.0");
    let unpacked = Unpacked::new(&image);
    assert_eq!(
        unpacked.config["config"]["User"],
        Value::Null,
        "built without a user, as most teams' images"
    );
    let output = unpacked.run(
        &json!({"uid": 0, "gid": 0}),
        &["release", "--fail", "no such table: users"],
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "release 1.1.0 begins\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "release: no such table: users\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
