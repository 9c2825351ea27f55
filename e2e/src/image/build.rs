//! One image from a Dockerfile and a few files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::Image;
use crate::command::run;
use crate::packages::{self, Package};
use crate::progress::Step;
use crate::tools;

/// The base that our Dockerfiles name.
const BASE: &str = "docker.io/library/debian:bookworm-slim";
/// How the base is made. It is part of every key, so another recipe makes other images.
const BASE_RECIPE: [&str; 3] = ["--variant=minbase", "--quiet", "bookworm"];

/// How many archives of a name stay: more than one run uses, of a few checkouts at once.
const KEPT: usize = 8;

/// What an image is made from.
pub(super) struct Recipe<'a> {
    /// Repository, without a tag.
    pub repository: &'a str,
    /// Tag. `{key}` in it becomes the hash of everything the image was made from.
    pub tag: String,
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// Files of the context: where each is, and its path in the context.
    pub files: Vec<(PathBuf, &'a str)>,
    /// Build arguments.
    pub arguments: Vec<(&'a str, String)>,
    /// The stage to build.
    pub target: &'a str,
}

impl Recipe<'_> {
    /// The hash of everything that decides the image's content.
    fn key(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // With its length before it, no two lists of parts give the same bytes.
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        for word in [self.repository, &self.tag, self.target].into_iter().chain(BASE_RECIPE) {
            part(word.as_bytes());
        }
        for (name, value) in &self.arguments {
            part(format!("{name}={value}").as_bytes());
        }
        part(&read(&self.dockerfile)?);
        for (file, path) in &self.files {
            part(path.as_bytes());
            part(&read(file)?);
        }
        let key = hash
            .finalize()
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(format!("{key:016x}"))
    }

    /// The image, built if it is not there yet.
    pub async fn build(&self) -> Result<Image> {
        let key = self.key()?;
        let reference = format!("{}:{}", self.repository, self.tag.replace("{key}", &key));
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        let folder = tools::cache()?.join("images");
        let archive = folder.join(format!("{name}-{key}.tar"));
        let image = Image { reference, archive };
        if image.archive.is_file() {
            note_use(&image.archive);
            return Ok(image);
        }
        fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
        let _turn = tools::lock(&folder.join(".lock"), "images").await?;
        if !image.archive.is_file() {
            self.build_in(&folder, &image).await?;
            prune(&folder, name, KEPT)?;
        }
        Ok(image)
    }

    async fn build_in(&self, folder: &Path, image: &Image) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            bail!("building an image needs root: buildah makes the files of the image with their real owners");
        }
        packages::ensure(&[
            Package::new("buildah", "buildah"),
            Package::new("mmdebstrap", "mmdebstrap"),
        ])
        .await?;
        let storage = Storage { folder };
        if read(&self.dockerfile)?
            .windows(BASE.len())
            .any(|window| window == BASE.as_bytes())
        {
            storage.ensure_base().await?;
        }
        let step = Step::start(format!("building image {}", image.reference));
        let context = folder.join(".context");
        self.lay_out(&context)?;
        let mut bud = storage.buildah("bud");
        // The same input gives the same bytes: no time of day in the image.
        bud.args([
            "--quiet",
            "--pull=never",
            "--timestamp=0",
            "--target",
            self.target,
            "--tag",
            &image.reference,
        ]);
        for (name, value) in &self.arguments {
            bud.arg(format!("--build-arg={name}={value}"));
        }
        run(bud.arg("--file").arg(&self.dockerfile).arg(&context)).await?;
        let beside = folder.join(".archive");
        // The tool refuses to write to an archive that is there, left by a run that was killed.
        let _ = fs::remove_file(&beside);
        let destination = format!("docker-archive:{}:{}", beside.display(), image.reference);
        run(storage
            .buildah("push")
            .args(["--quiet", &image.reference, &destination]))
        .await?;
        fs::rename(&beside, &image.archive).context("failed to put the archive in place")?;
        fs::remove_dir_all(&context).context("failed to remove the build's context")?;
        storage.forget(&image.reference).await?;
        step.done();
        Ok(())
    }

    fn lay_out(&self, context: &Path) -> Result<()> {
        let _ = fs::remove_dir_all(context);
        for (file, path) in &self.files {
            let copy = context.join(path);
            if let Some(folder) = copy.parent() {
                fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
            }
            fs::copy(file, &copy).with_context(|| format!("failed to copy {}", file.display()))?;
        }
        Ok(())
    }
}

/// Makes the archive the last of its name to be removed.
fn note_use(archive: &Path) {
    // Where this is refused the archive goes sooner, and is built again when it is asked for.
    let _ = fs::File::open(archive).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes the archives of `name` but the `kept` that were used last.
fn prune(folder: &Path, name: &str, kept: usize) -> Result<()> {
    let unreadable = || format!("failed to read {}", folder.display());
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let file = entry.file_name().into_string().unwrap_or_default();
        let key = file
            .strip_suffix(".tar")
            .and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
        if key.is_some_and(|key| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let used = entry.metadata().and_then(|metadata| metadata.modified());
            archives.push((used.with_context(unreadable)?, entry.path()));
        }
    }
    archives.sort();
    let many = archives.len().saturating_sub(kept);
    for (_, archive) in archives.into_iter().take(many) {
        fs::remove_file(&archive).with_context(|| format!("failed to remove {}", archive.display()))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

/// Buildah's own storage, ours alone: what else this machine builds is not seen and not touched.
struct Storage<'a> {
    folder: &'a Path,
}

impl Storage<'_> {
    fn buildah(&self, verb: &str) -> Command {
        let mut command = Command::new("buildah");
        // vfs and chroot need nothing of the kernel, so that this also runs inside a container.
        command
            .env("BUILDAH_ISOLATION", "chroot")
            .args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(self.folder.join("buildah"));
        command.arg("--runroot").arg(self.folder.join("buildah-run"));
        command.arg(verb);
        command
    }

    /// Makes the base image from Debian's packages, once.
    async fn ensure_base(&self) -> Result<()> {
        let marker = self.folder.join("base");
        let recipe = BASE_RECIPE.join(" ");
        let there = run(self.buildah("images").args(["--quiet", BASE])).await.is_ok();
        if there && fs::read_to_string(&marker).is_ok_and(|made_by| made_by == recipe) {
            return Ok(());
        }
        let step = Step::start("making the Debian base image (once, about a minute)");
        let files = self.folder.join(".base.tar");
        run(Command::new("mmdebstrap").args(BASE_RECIPE).arg(&files)).await?;
        let container = run(self.buildah("from").arg("scratch")).await?;
        let container = container.trim();
        run(self.buildah("add").args(["--quiet", container]).arg(&files).arg("/")).await?;
        run(self.buildah("commit").args(["--quiet", "--rm", container, BASE])).await?;
        fs::remove_file(&files).context("failed to remove the base's files")?;
        fs::write(&marker, recipe).context("failed to note how the base was made")?;
        step.done();
        Ok(())
    }

    /// Removes what a build left (buildah keeps the containers of its stages): the archive is what we keep,
    /// and vfs copies every layer whole.
    async fn forget(&self, reference: &str) -> Result<()> {
        run(self.buildah("rm").arg("--all")).await?;
        run(self.buildah("rmi").args(["--force", reference])).await?;
        run(self.buildah("rmi").arg("--prune")).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::Folder;

    fn recipe(tag: &str, argument: &str) -> Recipe<'static> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Recipe {
            repository: "ghcr.io/team/app",
            tag: tag.to_owned(),
            dockerfile: here.join("sample-app/Dockerfile"),
            files: vec![(here.join("sample-app/main.go"), "main.go")],
            arguments: vec![("VERSION", argument.to_owned())],
            target: "",
        }
    }

    #[test]
    fn the_archives_of_a_name_that_were_used_last_stay() {
        let folder = Folder::temporary().unwrap();
        let path = |file: &str| folder.path().join(file);
        let day = Duration::from_hours(24);
        let files = [
            "app-0000000000000001.tar",
            "app-0000000000000002.tar",
            "app-0000000000000003.tar",
            "app-more-0000000000000004.tar",
            "app-1.0.0",
        ];
        for (file, age) in files.iter().rev().zip(1_u32..) {
            let made = fs::File::create(path(file)).unwrap();
            made.set_modified(SystemTime::now() - day * age).unwrap();
        }
        note_use(&path(files[0]));
        prune(folder.path(), "app", 2).unwrap();
        let there = files.map(|file| path(file).exists());
        assert_eq!(there, [true, false, true, true, true], "{files:?}");
    }

    #[test]
    fn another_argument_tag_or_file_gives_another_key() {
        let key = recipe("1.0.0", "a").key().unwrap();
        assert_eq!(key, recipe("1.0.0", "a").key().unwrap());
        assert_ne!(key, recipe("1.0.0", "b").key().unwrap());
        assert_ne!(key, recipe("1.0.1", "a").key().unwrap());
        let mut other = recipe("1.0.0", "a");
        other.files[0].0.set_file_name("serve.go");
        assert_ne!(key, other.key().unwrap());
    }
}
