//! What becomes of the assistant directory's answers when they are hostile.

use phonenumber_operator::burki::Assigned;
use phonenumber_operator::provider::http::Response;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bent::any_answer;
use crate::company::{Hostile, SECRET, number, run};
use crate::config;

const ID: i64 = 101;

fn valid() -> Vec<Value> {
    vec![
        json!({"id": ID, "name": "Support", "is_active": true, "twilio_config": {"auth_token": SECRET},
            "telnyx_config": {"connection_id": "11", "api_key": SECRET}}),
        json!({"telnyx_connection_id": "11", "telnyx_api_key": SECRET}),
        json!({"success": true, "message": "assigned"}),
        json!({"success": false, "message": format!("it is on another, {SECRET}")}),
        json!({"detail": format!("no, {SECRET}")}),
        json!({"detail": [{"msg": "wrong", "loc": ["body"]}, {"msg": SECRET}]}),
    ]
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or(Value::Null)
}

fn judge(response: &Response) -> Result<(), TestCaseError> {
    let hostile = Hostile::saying(vec![response.clone()]);
    let directory = hostile.directory();
    let body = body(response);
    let denies = response.status == 404 && !body["detail"].is_null();
    let is_ok = [200, 201].contains(&response.status);
    let mut told = Vec::new();

    let assistant = run(directory.assistant(ID));
    match &assistant {
        Ok(Some(assistant)) => {
            prop_assert!(is_ok && assistant.id == ID && body["id"] == ID);
            prop_assert_eq!(assistant.active, body["is_active"] != false);
        }
        Ok(None) => prop_assert!(denies),
        Err(_) => {}
    }
    told.push(format!("{:?}", assistant.map(drop)));

    let assigned = run(directory.assign(&number(), ID, Some("NYC")));
    if assigned == Ok(Assigned::Done) {
        // Where it says no, it is asked who has the number.
        let is_there = body["success"] == false && body["id"] == ID;
        prop_assert!(is_ok && (body["success"] == true || is_there), "{}", body);
    }
    told.push(format!("{assigned:?}"));
    let unassigned = run(directory.unassign(&number(), ID));
    if unassigned.is_ok() {
        prop_assert!(is_ok || ([400, 404].contains(&response.status) && !body["detail"].is_null()));
    }
    told.push(format!("{unassigned:?}"));
    let holder = run(directory.assigned_to(&number()));
    if let Ok(holder) = &holder {
        prop_assert!(holder.map_or(denies, |id| is_ok && body["id"] == id));
    }
    told.push(format!("{holder:?}"));
    told.push(format!(
        "{:?}",
        run(directory.organization_connection()).map(drop)
    ));
    for text in told {
        prop_assert!(!text.contains(SECRET), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn nothing_is_assigned_or_absent_unless_the_directory_says_so(answer in any_answer(valid())) {
        judge(&answer)?;
    }
}

#[test]
fn what_was_not_bent_is_read() {
    for body in valid() {
        for status in [200, 201, 400, 401, 404, 422, 429, 500] {
            judge(&crate::company::answer(status, body.to_string())).unwrap();
        }
    }
}
