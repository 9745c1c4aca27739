//! What a host can enforce, for `escapology doctor`.

use crate::model::{Feature, HostFacts, Verdict};
use crate::sanitise;
use crate::terminal::{STRONG, labelled, paint, verdict_style};

const DETAIL_MAX: usize = 300;

/// The host, for people: what works, what does not, and what to change.
pub fn host(host: &HostFacts, width: usize) -> String {
    let kernel = sanitise::line(&host.kernel, DETAIL_MAX);
    let heading = format!("Linux {kernel} {}, uid {}", host.machine, host.uid);
    let mut text = paint(STRONG, &heading);
    text.push('\n');
    let names = host.features.iter().map(|feature| feature.name.len());
    let label = names.chain(["arena".len()]).max().unwrap_or(0) + 2;
    let arena = sanitise::line(&host.arena, DETAIL_MAX);
    text.push_str(&labelled(2, "arena", label, &arena, width));
    for (index, feature) in host.features.iter().enumerate() {
        let same = |other: &&Feature| !other.available && other.detail == feature.detail;
        let earlier = host.features[..index].iter().find(same);
        match earlier.filter(|_| !feature.available) {
            Some(earlier) => {
                let value = format!("no, as {}", earlier.name);
                text.push_str(&of_line(&feature.name, "no", &value, false, label, width));
            }
            None => text.push_str(&of_feature(feature, label, width)),
        }
    }
    text
}

fn of_line(
    name: &str,
    word: &str,
    value: &str,
    available: bool,
    label: usize,
    width: usize,
) -> String {
    let verdict = if available {
        Verdict::Contained
    } else {
        Verdict::Escaped
    };
    labelled(2, name, label, value, width).replacen(
        &format!(" {word}"),
        &format!(" {}", paint(verdict_style(verdict), word)),
        1,
    )
}

fn of_feature(feature: &Feature, label: usize, width: usize) -> String {
    let word = if feature.available { "yes" } else { "no" };
    let detail = sanitise::line(&feature.detail, DETAIL_MAX);
    let value = match detail.as_str() {
        "" => word.to_owned(),
        detail => format!("{word}, {detail}"),
    };
    let mut text = of_line(&feature.name, word, &value, feature.available, label, width);
    if !feature.available && !feature.remedy.is_empty() {
        let remedy = format!("to change: {}", sanitise::line(&feature.remedy, DETAIL_MAX));
        text.push_str(&labelled(2, "", label, &remedy, width));
    }
    text
}
