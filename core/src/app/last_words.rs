//! What a Job's program said before it failed, fit for a status that more people may read than its log.

use k8s_openapi::api::batch::v1::Job;

use super::mask::mask;
use super::observed::Observed;
use crate::live::{Ended, Live, PodFacts};

/// Exit code and last words, masked, of the newest pod of a Job that ended; of the words at most `most` characters.
/// `None` when no such pod is left. A pod whose program never began is told by the container that kept it from that.
pub fn last_words(observed: &Observed, job: &Live<Job>, most: usize) -> Option<String> {
    let ended = observed.pods_of_job(job.name()).filter_map(|pod| {
        let own = pod.facts.own.as_ref().and_then(|own| own.ended.as_ref());
        let (whose, ended) = own.map(|ended| (String::new(), ended)).or_else(|| before(&pod.facts))?;
        Some((pod.created_at(), whose, ended))
    });
    let (_, whose, ended) = ended.max_by_key(|(created_at, ..)| *created_at)?;
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
    Some(format!("{whose}exit code {}{why}: {said}", ended.exit_code))
}

/// The container that was to run before the program and failed.
fn before(pod: &PodFacts) -> Option<(String, &Ended)> {
    pod.init.iter().find_map(|container| {
        let ended = container.ended.as_ref().filter(|ended| ended.exit_code != 0)?;
        let whose = format!(
            "it never began: the container {} of its pod ended with ",
            container.name
        );
        Some((whose, ended))
    })
}

/// The last characters, at most so many.
fn end(text: &str, most: usize) -> String {
    match text.chars().count().checked_sub(most) {
        None | Some(0) => text.to_owned(),
        Some(excess) => format!("…{}", text.chars().skip(excess).collect::<String>()),
    }
}
