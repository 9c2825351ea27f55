//! What mail services ask to be published, as far as it is the same for every customer. Keys are not: each service shows
//! them in its console, and they go into `spec.mail.dkim`.

use crate::api::dns::MailPreset;

/// The records of a mail service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The service, as messages name it.
    pub name: &'static str,
    /// The SPF record, when the team writes none.
    pub spf: &'static str,
    /// The record that every SPF record of its customers includes; empty: none.
    pub include: &'static str,
    /// The DMARC record, when the team writes none.
    pub dmarc: &'static str,
    /// Whether no mail is received: a null MX.
    pub null_mx: bool,
    /// Where the service shows its DKIM keys; `None`: it has none.
    pub keys: Option<&'static str>,
}

/// The records of a service.
pub fn of(preset: MailPreset) -> Preset {
    match preset {
        // SPF as on help.brevo.com; the domain's page shows two CNAMEs (brevo1, brevo2) or one TXT (mail), and asks for
        // this DMARC record. developers.brevo.com/docs/domain-authentication-and-verification
        MailPreset::Brevo => Preset {
            name: "Brevo",
            spf: "v=spf1 include:spf.brevo.com ~all",
            include: "spf.brevo.com",
            dmarc: "v=DMARC1; p=none; rua=mailto:rua@dmarc.brevo.com",
            null_mx: false,
            keys: Some(
                "copy the records of brevo1._domainkey and brevo2._domainkey (or mail._domainkey) from Brevo: Senders, domains, dedicated IPs",
            ),
        },
        // documentation.mailjet.com, "Authenticating Domains with SPF and DKIM: A Complete Guide".
        MailPreset::Mailjet => Preset {
            name: "Mailjet",
            spf: "v=spf1 include:spf.mailjet.com ~all",
            include: "spf.mailjet.com",
            dmarc: "v=DMARC1; p=none",
            null_mx: false,
            keys: Some(
                "copy the record of mailjet._domainkey from Mailjet: Sender domains, Setup SPF/DKIM authentication",
            ),
        },
        // docs.tipimail.com, "Personalize my sent", asks for SPF and DKIM; the include is that of its customers' zones.
        MailPreset::Tipimail => Preset {
            name: "Tipimail",
            spf: "v=spf1 include:spf.tipimail.com ~all",
            include: "spf.tipimail.com",
            dmarc: "v=DMARC1; p=none",
            null_mx: false,
            keys: Some("copy the DKIM record of the domain from Tipimail: Settings, Domains"),
        },
        // RFC 7505 (null MX), RFC 7208 10.1.2 (no mail is sent), RFC 7489 6.3 (what comes all the same is refused).
        MailPreset::None => Preset {
            name: "None",
            spf: "v=spf1 -all",
            include: "",
            dmarc: "v=DMARC1; p=reject",
            null_mx: true,
            keys: None,
        },
    }
}
