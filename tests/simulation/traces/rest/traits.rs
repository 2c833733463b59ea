//! What a number can be: the traits that are combined to every shape of a spec.

use super::*;

/// One thing that a number can be.
#[derive(Clone, Copy)]
pub(super) struct Trait {
    pub(super) name: &'static str,
    /// What of the spec it is.
    pub(super) spec: fn() -> Value,
    /// What is done before the number is declared.
    pub(super) prepare: fn(&World),
    /// Traits that it cannot be with.
    pub(super) not_with: &'static [&'static str],
}

const NOTHING: fn(&World) = |_| {};

pub(super) const TWILIO: &[Trait] = &[
    Trait {
        name: "assistant",
        spec: || json!({"assistantId": 101}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "friendly name",
        spec: || json!({"friendlyName": "NYC Customer Support"}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "webhooks",
        spec: || json!({"webhooks": {"voiceUrl": OWN, "smsUrl": OWN}}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "messaging service",
        spec: || json!({"twilio": {"messagingServiceSid": SERVICE}}),
        prepare: NOTHING,
        not_with: &["voice only", "voice only refused"],
    },
    Trait {
        name: "papers",
        spec: || {
            json!({"twilio": {
                "addressSid": "AD00000000000000000000000000000001",
                "bundleSid": "BU00000000000000000000000000000001",
                "identitySid": "RI00000000000000000000000000000001",
            }})
        },
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "papers that the purchase leaves out",
        spec: || json!({"twilio": {"bundleSid": "BU00000000000000000000000000000002"}}),
        prepare: |world| switch(world, json!({"papersIgnoredOnPurchase": true})),
        not_with: &["papers"],
    },
    Trait {
        name: "voice only",
        spec: || json!({"phoneNumber": "+442075550001"}),
        prepare: NOTHING,
        not_with: &["search", "adopted", "voice only refused"],
    },
    Trait {
        name: "voice only refused",
        spec: || json!({"phoneNumber": "+442075550001"}),
        prepare: |world| switch(world, json!({"smsWebhooksRefused": true})),
        not_with: &["search", "adopted"],
    },
    Trait {
        name: "search",
        spec: || json!({"phoneNumber": null, "search": {"country": "US", "areaCode": "212"}}),
        prepare: NOTHING,
        not_with: &["adopted"],
    },
    Trait {
        name: "voice only by search",
        spec: || json!({"phoneNumber": null, "search": {"country": "GB", "capabilities": ["voice"]}}),
        prepare: NOTHING,
        not_with: &[
            "adopted",
            "search",
            "voice only",
            "voice only refused",
            "messaging service",
        ],
    },
    Trait {
        name: "adopted",
        spec: || json!({"adoptionPolicy": "Adopt"}),
        prepare: |world| world.bought_by_hand("twilio", NUMBER),
        not_with: &[],
    },
    Trait {
        name: "suspended",
        spec: || json!({}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "key without messaging services",
        spec: || json!({}),
        prepare: |world| switch(world, json!({"messagingServicesForbidden": true})),
        not_with: &["messaging service"],
    },
    Trait {
        name: "other services",
        spec: || json!({}),
        prepare: |world| {
            for digit in 2..5 {
                let path = format!("/console/services/MG0000000000000000000000000000000{digit}");
                let url = json!({"inboundRequestUrl": "https://else.example.com"});
                world.control("POST", &path, url);
            }
        },
        not_with: &[],
    },
];

pub(super) const TELNYX: &[Trait] = &[
    Trait {
        name: "assistant",
        spec: || json!({"assistantId": 101}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "friendly name",
        spec: || json!({"friendlyName": "Boston Customer Support"}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "verified",
        spec: || json!({}),
        prepare: |world| {
            manage(world, json!({"connectionWebhook": "Verify"}));
            webhook(world, CONNECTION, BASE);
            webhook(world, PROFILE, BASE);
        },
        not_with: &["webhooks"],
    },
    Trait {
        name: "webhooks",
        spec: || json!({"webhooks": {"voiceUrl": OWN, "smsUrl": OWN}}),
        prepare: |world| {
            manage(world, json!({"connectionWebhook": "Verify"}));
            webhook(world, CONNECTION, OWN);
            webhook(world, PROFILE, OWN);
        },
        not_with: &["assistant"],
    },
    Trait {
        name: "profile",
        spec: || json!({"telnyx": {"messagingProfileId": PROFILE}}),
        prepare: |world| manage(world, json!({"messagingProfileId": PROFILE})),
        not_with: &["unidentified"],
    },
    Trait {
        name: "connection",
        spec: || json!({"telnyx": {"connectionId": CONNECTION}}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "billing group",
        spec: || json!({"telnyx": {"billingGroupId": "bg-1"}}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "papers",
        spec: || json!({"phoneNumber": "+493012345678", "telnyx": {"requirementGroupId": "rg-1"}}),
        prepare: NOTHING,
        not_with: &["search", "adopted"],
    },
    Trait {
        name: "search",
        spec: || json!({"phoneNumber": null, "search": {"country": "US", "areaCode": "617"}}),
        prepare: NOTHING,
        not_with: &["adopted"],
    },
    Trait {
        name: "adopted",
        spec: || json!({"adoptionPolicy": "Adopt"}),
        prepare: |world| world.bought_by_hand("telnyx", TELNYX_NUMBER),
        not_with: &[],
    },
    Trait {
        name: "suspended",
        spec: || json!({}),
        prepare: NOTHING,
        not_with: &[],
    },
    Trait {
        name: "unidentified",
        spec: || json!({}),
        prepare: NOTHING,
        not_with: &["webhooks", "verified"],
    },
];
