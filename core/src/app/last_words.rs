//! What a Job's program said before it failed, fit for a status that more people may read than its log.

use k8s_openapi::api::batch::v1::Job;

use super::mask::mask;
use super::observed::Observed;
use crate::live::Live;

/// Exit code and last words, masked, of the newest pod of a Job that ended; of the words at most `most` characters.
/// `None` when no such pod is left.
pub fn last_words(observed: &Observed, job: &Live<Job>, most: usize) -> Option<String> {
    let ended = observed.pods_of_job(job.name()).filter_map(|pod| {
        let mut containers = pod.facts.containers.iter();
        Some((
            pod.created_at(),
            containers.find_map(|container| container.ended.as_ref())?,
        ))
    });
    let (_, ended) = ended.max_by_key(|(created_at, _)| *created_at)?;
    let why = if ended.reason == "OOMKilled" {
        " (out of memory)"
    } else {
        ""
    };
    let said = match ended.message.trim() {
        "" => "it said nothing".to_owned(),
        // Masked as a whole: what is cut off could be the word that shows what follows to be a secret.
        words => end(&mask(words), most),
    };
    Some(format!("exit code {}{why}: {said}", ended.exit_code))
}

/// The last characters, at most so many.
fn end(text: &str, most: usize) -> String {
    match text.chars().count().checked_sub(most) {
        None | Some(0) => text.to_owned(),
        Some(excess) => format!("…{}", text.chars().skip(excess).collect::<String>()),
    }
}
