//! Strategies: any bytes, any JSON, and valid JSON that was bent.

use phonenumber_operator::provider::http::Response;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::company::{SECRET, answer};

/// Statuses that companies send, and any other.
pub fn status() -> impl Strategy<Value = u16> {
    let known = select(vec![
        200_u16, 201, 202, 204, 301, 400, 401, 402, 403, 404, 408, 409, 410, 422, 429, 500, 502,
        503,
    ]);
    prop_oneof![8 => known, 1 => 100_u16..1000]
}

/// Texts that mean something to somebody, and any other.
fn text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "success",
        "pending",
        "active",
        "deleted",
        "21422",
        "10005",
        "20404",
        "+12125551234",
        "null",
        "../../",
        "//example.com",
        SECRET,
        "2026-01-02T03:04:05Z",
        "-1",
        "1e400",
        "NaN",
        "\u{202e}\u{0}",
    ]);
    prop_oneof![known.prop_map(str::to_owned), any::<String>()]
}

/// Any JSON value.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![0_i64, -1, 1, 20404, 21422, 10005, 20429]).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name = prop_oneof![
            select(vec![
                "data",
                "meta",
                "errors",
                "code",
                "message",
                "detail",
                "id",
                "sid",
                "incoming_phone_numbers",
                "phone_number",
                "phone_numbers",
                "next_page_uri",
                "success",
                "page_number",
                "total_pages",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            hash_map(name, inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// One thing that is done to a body.
#[derive(Clone, Debug)]
enum Bend {
    /// A node becomes another value.
    Replace(Index, Value),
    /// A field or an element goes.
    Remove(Index),
    /// An element, or the whole, is there twice.
    Double(Index),
    /// What follows is gone.
    Cut(Index),
    /// A byte is another one.
    Flip(Index, u8),
}

fn bend() -> impl Strategy<Value = Bend> {
    prop_oneof![
        6 => (any::<Index>(), any_json()).prop_map(|(at, value)| Bend::Replace(at, value)),
        4 => any::<Index>().prop_map(Bend::Remove),
        1 => any::<Index>().prop_map(Bend::Double),
        1 => any::<Index>().prop_map(Bend::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Bend::Flip(at, byte)),
    ]
}

/// The bodies of a valid answer, after up to three of them were bent.
pub fn bent(valid: Value) -> impl Strategy<Value = Vec<u8>> {
    vec(bend(), 0..4).prop_map(move |bends| {
        let mut value = valid.clone();
        for bend in &bends {
            bend_value(&mut value, bend);
        }
        let mut bytes = value.to_string().into_bytes();
        for bend in &bends {
            match bend {
                Bend::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
                Bend::Flip(at, byte) if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                _ => {}
            }
        }
        bytes
    })
}

fn bend_value(value: &mut Value, bend: &Bend) {
    let (at, new) = match bend {
        Bend::Replace(at, new) => (at, Some(new.clone())),
        Bend::Remove(at) | Bend::Double(at) => (at, None),
        Bend::Cut(_) | Bend::Flip(..) => return,
    };
    let mut paths = Vec::new();
    walk(value, String::new(), &mut paths);
    let path = &paths[at.index(paths.len())];
    match (bend, new) {
        (_, Some(new)) => *value.pointer_mut(path).unwrap() = new,
        (Bend::Double(_), _) => {
            let node = value.pointer_mut(path).unwrap();
            *node = json!([node.clone(), node.clone()]);
        }
        _ => remove(value, path),
    }
}

fn remove(value: &mut Value, path: &str) {
    let Some((parent, last)) = path.rsplit_once('/') else {
        *value = Value::Null;
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(elements)) => {
            elements.remove(last.parse().unwrap());
        }
        _ => {}
    }
}

/// The JSON pointers of all nodes.
fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(field, format!("{path}/{name}"), paths);
            }
        }
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                walk(element, format!("{path}/{at}"), paths);
            }
        }
        _ => {}
    }
    paths.push(path);
}

fn header() -> impl Strategy<Value = (String, String)> {
    let name = select(vec![
        "date",
        "retry-after",
        "x-ratelimit-reset",
        "x-request-id",
        "twilio-request-id",
    ]);
    let value = prop_oneof![
        text(),
        Just("Fri, 02 Jan 9999 03:04:05 GMT".to_owned()),
        any::<f64>().prop_map(|seconds| seconds.to_string()),
    ];
    (name.prop_map(str::to_owned), value)
}

/// Any answer: any bytes, any JSON, or one of `valid` that was bent.
pub fn any_answer(valid: Vec<Value>) -> impl Strategy<Value = Response> {
    let body = prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        2 => any_json().prop_map(|value| value.to_string().into_bytes()),
        4 => select(valid).prop_flat_map(bent),
    ];
    (status(), body, vec(header(), 0..3)).prop_map(|(status, body, headers)| {
        let mut answer = answer(status, body);
        answer.headers.splice(0..0, headers);
        answer
    })
}
