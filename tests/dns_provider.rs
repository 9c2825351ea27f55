//! One suite that every provider passes, real or fake: what is written is read back, served, and nothing else is touched.
//!
//! BIND and PowerDNS are the real programs. `cargo test --workspace --test dns_provider -- bind` runs those of BIND.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "dns_provider/always_data.rs"]
mod always_data;
#[path = "dns_provider/cases.rs"]
mod cases;
#[path = "dns_provider/faults.rs"]
mod faults;
#[path = "dns_provider/kills.rs"]
mod kills;
#[path = "dns_provider/ovh.rs"]
mod ovh;
#[path = "dns_provider/route53.rs"]
mod route53;
#[path = "dns_provider/server.rs"]
mod server;
#[path = "dns_provider/sets.rs"]
mod sets;
#[path = "dns_provider/settings.rs"]
mod settings;
#[path = "dns/tls.rs"]
mod tls;
#[path = "dns_provider/transport.rs"]
mod transport;
#[path = "dns_provider/updates.rs"]
mod updates;
#[path = "dns_provider/zone.rs"]
mod zone;

/// Each case on each of some providers: `case::provider`.
macro_rules! on_each {
    ($cases:ident, $how:ident, [$($case:ident),* $(,)?], $providers:tt) => {$( on_each!(@ $cases, $how, $case, $providers); )*};
    (@ $cases:ident, $how:ident, $case:ident, [$($provider:ident),* $(,)?]) => {
        mod $case {
            use super::{$cases, server::Server};
            $(
                #[tokio::test]
                async fn $provider() {
                    $cases::$case(&Server::$provider().await.$how().await).await;
                }
            )*
        }
    };
}

on_each!(
    cases,
    alone,
    [
        every_type_is_written_read_back_and_served,
        values_come_and_go_without_a_gap,
        a_ttl_is_kept_as_the_profile_says,
        long_and_quoted_texts_come_back_whole,
        wildcards_underscores_and_the_apex_are_names_like_others,
        a_name_below_a_wildcard_is_not_there,
        a_type_takes_the_place_of_another,
        what_is_deleted_is_gone_and_may_be_deleted_again,
        other_sets_stay_as_they_are,
        nothing_is_sent_without_the_lease,
        texts_of_others_can_be_replaced,
        delegations_are_read_as_they_are,
        many_sets_are_read_whole,
        a_wrong_credential_is_unauthorized,
        an_unknown_zone_is_no_zone,
    ],
    [always_data, bind, gandi, ovh, point_dns, powerdns, route53, scaleway]
);

// What knows ALIAS.
on_each!(
    cases,
    alone,
    [an_alias_at_the_apex_is_served_as_addresses],
    [gandi, point_dns, scaleway]
);

// What can be killed.
on_each!(cases, alone, [a_restart_in_the_middle_loses_nothing], [bind, powerdns]);

// What speaks HTTP.
on_each!(
    faults,
    behind_proxy,
    [
        every_fault_is_told_as_what_it_is,
        what_was_done_without_an_answer_is_found_by_reading,
        a_bad_answer_to_a_change_is_never_taken_for_a_good_one,
        a_change_costs_few_requests,
        too_often_holds_for_all_zones_of_the_account,
    ],
    [always_data, gandi, ovh, point_dns, powerdns, route53, scaleway]
);

on_each!(
    kills,
    behind_proxy,
    [what_a_killed_program_began_is_finished],
    [always_data, gandi, ovh, point_dns, powerdns, route53, scaleway]
);
