"""Shows that the official, unmodified SDKs of Twilio and Telnyx understand the emulator.

The SDKs know nothing of the operator: what they cannot read, the emulator says wrongly.
Arguments: the addresses of the emulator's Twilio, Telnyx and control sides.
"""

import datetime
import json
import sys
import time
import urllib.request

import telnyx
import twilio.rest
from twilio.base.exceptions import TwilioException, TwilioRestException

ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "emulator-token"
API_KEY, API_SECRET = "SK00000000000000000000000000000001", "emulator-token-secret"
SERVICE = "MG00000000000000000000000000000001"
KEY = "emulator-key"
CONNECTION = "1293384261075731499"
PROFILE = "00000000-0000-4000-8000-0000000000a1"

# How long an order may take. The emulator needs a third of a second.
PATIENCE = 15


def shown(text):
    print("ok", text, flush=True)


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


def is_time(value, what):
    # Both SDKs hand on the text where they cannot read a time.
    assert isinstance(value, datetime.datetime), f"{what} is no time: {value!r}"
    off = abs(datetime.datetime.now(datetime.timezone.utc) - value)
    assert off < datetime.timedelta(minutes=5), f"{what} is not now: {value}"


class Control:
    """The emulator's control side."""

    def __init__(self, base):
        self.base = base

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def count(self, deed, number):
        ledger = self.call("GET", "/ledger")
        return sum(row["deed"] == deed and row["number"] == number for row in ledger)

    def requests(self, operation):
        return self.call("GET", "/requests")["count"].get(operation, 0)


def twilio_client(base, user=ACCOUNT, password=TOKEN, account=ACCOUNT):
    client = twilio.rest.Client(user, password, account)
    client.api.base_url = base
    client.messaging.base_url = base
    return client


def twilio_refuses(status, code, what, call):
    try:
        result = call()
    except TwilioRestException as error:
        equal((error.status, error.code), (status, code), what)
        assert error.msg, f"{what}: no message"
        return
    raise AssertionError(f"{what}: it was not refused, but gave {result!r}")


def check_twilio(base, control):
    client = twilio_client(base)
    numbers = client.incoming_phone_numbers

    account = client.api.accounts(ACCOUNT).fetch()
    equal((account.sid, account.status, account.type), (ACCOUNT, "active", "Full"), "the account")
    shown("twilio: the account is read")

    balance = client.api.account.balance.fetch()
    equal((balance.account_sid, balance.currency), (ACCOUNT, "USD"), "the balance")
    assert float(balance.balance) > 0, f"the balance is {balance.balance!r}"
    shown("twilio: the balance is read")

    offered = client.available_phone_numbers("US").local.list(area_code=415, limit=5)
    equal(len(offered), 5, "numbers on offer")
    for offer in offered:
        assert offer.phone_number.startswith("+1415"), offer.phone_number
        equal(offer.iso_country, "US", "the country of an offer")
    equal(len({offer.phone_number for offer in offered}), 5, "different numbers on offer")
    shown("twilio: local numbers are on offer")

    first = offered[0].phone_number
    bought = numbers.create(
        phone_number=first,
        friendly_name="sdk check",
        voice_url="https://one.example.com/voice?a=b&c=d",
        sms_url="https://one.example.com/sms",
    )
    equal(bought.phone_number, first, "the number that was bought")
    assert len(bought.sid) == 34 and bought.sid.startswith("PN"), f"the SID is {bought.sid!r}"
    equal(bought.account_sid, ACCOUNT, "the account of the number")
    equal(bought.friendly_name, "sdk check", "the friendly name")
    equal(bought.voice_url, "https://one.example.com/voice?a=b&c=d", "the voice URL")
    equal((bought.voice_method, bought.sms_method), ("POST", "POST"), "the methods")
    equal(bought.sms_url, "https://one.example.com/sms", "the SMS URL")
    equal(bought.status, "in-use", "the status")
    equal(bought.capabilities["voice"], True, "the capability to speak")
    is_time(bought.date_created, "date_created")
    is_time(bought.date_updated, "date_updated")
    equal(control.count("purchase", first), 1, "purchases in the ledger")
    shown("twilio: a number is bought and configured in one call")

    fetched = numbers(bought.sid).fetch()
    equal(fetched.phone_number, first, "the number by its SID")
    equal(fetched.uri, bought.uri, "its path")
    shown("twilio: it is read by its SID")

    for offer in offered[1:4]:
        numbers.create(phone_number=offer.phone_number, friendly_name="sdk check, more")
    everything = {offer.phone_number for offer in offered[:4]}
    before = control.requests("twilio list")
    listed = [number.phone_number for number in numbers.list(page_size=1)]
    equal(sorted(listed), sorted(everything), "numbers of the account, one a page")
    equal(control.requests("twilio list") - before, 4, "pages that were asked for")
    equal(len(numbers.list(limit=3)), 3, "numbers up to a limit")
    shown("twilio: four numbers are listed on four pages")

    found = numbers.list(phone_number=first)
    equal([number.sid for number in found], [bought.sid], "the number by its digits")
    equal(numbers.list(phone_number="+14159990000"), [], "a number that nobody has")
    named = numbers.list(friendly_name="sdk check, more", page_size=1)
    equal(len(named), 3, "numbers by their name, one a page")
    shown("twilio: numbers are found by digits and by name")

    changed = numbers(bought.sid).update(voice_url="https://two.example.com/voice")
    equal(changed.voice_url, "https://two.example.com/voice", "the voice URL after an update")
    equal(changed.sms_url, "https://one.example.com/sms", "the SMS URL, which was not sent")
    equal(numbers(bought.sid).fetch().voice_url, changed.voice_url, "the voice URL, read again")
    shown("twilio: an update changes what it names and nothing else")

    again = numbers.create(phone_number=first, sms_url="https://two.example.com/sms")
    equal(again.sid, bought.sid, "the SID after buying it again")
    equal(again.sms_url, "https://two.example.com/sms", "the SMS URL after buying it again")
    equal(again.voice_url, changed.voice_url, "the voice URL after buying it again")
    equal(control.count("purchase", first), 1, "purchases after buying it again")
    shown("twilio: buying a number that the account has is an update")

    attached = client.messaging.v1.services(SERVICE).phone_numbers
    member = attached.create(phone_number_sid=bought.sid)
    equal((member.sid, member.service_sid), (bought.sid, SERVICE), "the member of the service")
    is_time(member.date_created, "date_created of the member")
    equal(attached(bought.sid).fetch().phone_number, first, "the member, read again")
    twilio_refuses(409, 21710, "a member twice", lambda: attached.create(phone_number_sid=bought.sid))
    equal(attached(bought.sid).delete(), True, "leaving the service")
    twilio_refuses(404, 20404, "a member that left", lambda: attached(bought.sid).fetch())
    shown("twilio: a number joins a messaging service and leaves it")

    def buy(number):
        return lambda: numbers.create(phone_number=number)

    twilio_refuses(400, 21422, "a number of somebody else", buy("+14155559999"))
    twilio_refuses(400, 21421, "what is no number", buy("+1415"))
    twilio_refuses(400, 21631, "a number that needs an address", buy("+493012345678"))
    shown("twilio: taken, invalid and regulated numbers are refused")

    stranger = twilio_client(base, password="wrong")
    twilio_refuses(401, 20003, "a wrong token", lambda: stranger.api.account.balance.fetch())
    wrong_buy = lambda: stranger.incoming_phone_numbers.create(phone_number=offered[4].phone_number)
    twilio_refuses(401, 20003, "a purchase with a wrong token", wrong_buy)
    equal(control.count("purchase", offered[4].phone_number), 0, "purchases with a wrong token")
    try:
        stranger.incoming_phone_numbers.list()
    except TwilioException as error:
        # The SDK hands on what came, where a page cannot be fetched.
        assert "20003" in str(error), f"a listing with a wrong token: {error}"
    else:
        raise AssertionError("a listing with a wrong token was not refused")
    keyed = twilio_client(base, API_KEY, API_SECRET)
    equal(keyed.incoming_phone_numbers(bought.sid).fetch().sid, bought.sid, "with an API key")
    shown("twilio: a wrong token is refused, an API key is taken")

    equal(numbers(bought.sid).delete(), True, "giving the number back")
    twilio_refuses(404, 20404, "a number that was given back", lambda: numbers(bought.sid).fetch())
    twilio_refuses(404, 20404, "giving it back twice", lambda: numbers(bought.sid).delete())
    twilio_refuses(400, 21422, "buying it once more", buy(first))
    equal(control.count("release", first), 1, "releases in the ledger")
    shown("twilio: a number that was given back is gone for good")


def telnyx_client(base, key=KEY):
    # Strict: without that, the SDK lets pass what does not fit its own types.
    return telnyx.Telnyx(
        api_key=key, base_url=f"{base}/v2", timeout=10, _strict_response_validation=True
    )


def telnyx_refuses(kind, code, what, call):
    try:
        result = call()
    except kind as error:
        codes = [row["code"] for row in error.body["errors"]]
        equal(codes, [code], what)
        return error
    raise AssertionError(f"{what}: it was not refused, but gave {result!r}")


def offers(client, end):
    """Makes one number with this end, which only a search makes possible to order."""
    filters = {"country_code": "US", "national_destination_code": "415"}
    filters |= {"phone_number": {"ends_with": end}, "limit": 1}
    found = client.available_phone_numbers.list(filter=filters)
    equal(len(found.data), 1, f"numbers on offer that end in {end}")
    return found.data[0]


def settled(client, order):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        data = client.number_orders.retrieve(order).data
        if data.status != "pending":
            return data
        time.sleep(0.1)
    raise AssertionError(f"the order {order} is pending after {PATIENCE} s")


def owned(client, number):
    rows = client.phone_numbers.list(filter={"phone_number": number.removeprefix("+")})
    return [row for row in rows if row.phone_number == number]


def check_telnyx(base, control):
    client = telnyx_client(base)
    # A refusal with 409 is one that the SDK tries again; that is shown once, below.
    once = client.with_options(max_retries=0)

    balance = client.balance.retrieve().data
    equal((balance.record_type, balance.currency), ("balance", "USD"), "the balance")
    assert float(balance.available_credit) > 0, f"the credit is {balance.available_credit!r}"
    shown("telnyx: the balance is read")

    telnyx_refuses(
        telnyx.BadRequestError, "10015", "a number that no search found",
        lambda: once.number_orders.create(phone_numbers=[{"phone_number": "+14155550000"}]),
    )
    equal(control.count("order", "+14155550000"), 0, "orders of it")
    shown("telnyx: a number that no search found cannot be ordered")

    offer = offers(client, "5550001")
    first = offer.phone_number
    equal(first, "+14155550001", "the number on offer")
    equal(offer.cost_information.currency, "USD", "the currency of its price")
    assert float(offer.cost_information.monthly_cost) > 0, "the number costs nothing"
    assert "voice" in [feature.name for feature in offer.features], offer.features
    shown("telnyx: a number is on offer, with its price")

    order = client.number_orders.create(
        phone_numbers=[{"phone_number": first}], customer_reference="sdk check"
    ).data
    equal((order.status, order.phone_numbers_count), ("pending", 1), "the order")
    equal(order.phone_numbers[0].status, "pending", "the number in the order")
    is_time(order.created_at, "created_at of the order")
    done = settled(client, order.id)
    equal((done.status, done.phone_numbers[0].status), ("success", "success"), "the order in the end")
    equal(done.phone_numbers[0].phone_number, first, "the number that was ordered")
    equal((control.count("order", first), control.count("purchase", first)), (1, 1), "in the ledger")
    shown("telnyx: a number is ordered, and the order succeeds")

    rows = owned(client, first)
    equal(len(rows), 1, "numbers with these digits")
    number = rows[0]
    assert number.id.isdigit(), f"the id is no number: {number.id!r}"
    assert number.id not in (order.id, order.phone_numbers[0].id), "the ids are one"
    equal((number.status, number.country_iso_alpha2), ("active", "US"), "the number")
    equal(client.phone_numbers.retrieve(number.id).data.phone_number, first, "the number by its id")
    is_time(number.created_at, "created_at of the number")
    shown("telnyx: its digits lead to its numeric id")

    client.phone_numbers.update(number.id, customer_reference="sdk check, number")
    client.phone_numbers.update(number.id, connection_id=CONNECTION)
    read = client.phone_numbers.retrieve(number.id).data
    equal(read.customer_reference, "sdk check, number", "the reference after an update")
    equal(read.connection_id, CONNECTION, "the connection after an update")
    by_reference = client.phone_numbers.list(filter={"customer_reference": "sdk check, number"})
    equal([row.id for row in by_reference], [number.id], "the number by its reference")
    unknown = lambda: once.phone_numbers.update(number.id, connection_id="1")
    telnyx_refuses(telnyx.UnprocessableEntityError, "10017", "an unknown connection", unknown)
    shown("telnyx: reference and connection are changed")

    messaging = client.phone_numbers.messaging.update(number.id, messaging_profile_id=PROFILE).data
    equal(messaging.messaging_profile_id, PROFILE, "the profile after an update")
    messaging = client.phone_numbers.messaging.retrieve(number.id).data
    equal((messaging.messaging_profile_id, messaging.phone_number), (PROFILE, first), "read again")
    messaging = client.phone_numbers.messaging.update(number.id, messaging_profile_id="").data
    assert not messaging.messaging_profile_id, "the profile was not taken away"
    shown("telnyx: the messaging profile is changed and taken away")

    home = client.connections.retrieve(CONNECTION).data
    equal(home.id, CONNECTION, "the connection")
    home = client.call_control_applications.update(
        CONNECTION,
        application_name="SDK check",
        webhook_event_url="https://one.example.com/voice",
        webhook_api_version="2",
    ).data
    equal(home.webhook_event_url, "https://one.example.com/voice", "the application's webhook")
    profile = client.messaging_profiles.update(PROFILE, webhook_url="https://one.example.com/sms").data
    equal(profile.webhook_url, "https://one.example.com/sms", "the profile's webhook")
    equal([row.id for row in client.messaging_profiles.list()], [PROFILE], "the profiles")
    shown("telnyx: the webhooks of application and profile are changed")

    def order_again():
        return once.number_orders.create(phone_numbers=[{"phone_number": first}])

    error = telnyx_refuses(telnyx.ConflictError, "85001", "ordering it again", order_again)
    equal(error.status_code, 409, "the status of ordering it again")
    equal(control.count("order", first), 1, "orders of it")
    shown("telnyx: a number is ordered once")

    second = offers(client, "5550002").phone_number
    rule = {"dialect": "telnyx", "operation": "buy", "kind": "500-after-commit", "times": 1}
    control.call("POST", "/faults", rule)
    before = control.requests("telnyx buy")
    # The SDK sends the order again after the 500, and twice is refused.
    telnyx_refuses(
        telnyx.ConflictError, "85001", "an order that was sent again",
        lambda: client.number_orders.create(
            phone_numbers=[{"phone_number": second}], customer_reference="sdk check, lost"
        ),
    )
    equal(control.requests("telnyx buy") - before, 3, "orders that the SDK sent")
    equal(control.call("GET", "/faults")["met"], 1, "faults that were met")
    control.call("DELETE", "/faults")
    lost = list(client.number_orders.list(filter={"customer_reference": "sdk check, lost"}))
    equal(len(lost), 1, "orders by the reference")
    equal(settled(client, lost[0].id).status, "success", "the order whose answer was lost")
    equal(
        (control.count("order", second), control.count("purchase", second)), (1, 1),
        "orders and purchases in the ledger",
    )
    equal(len(owned(client, second)), 1, "the number whose order's answer was lost")
    shown("telnyx: the SDK's retries after a lost answer buy once")

    ids = [row.id for row in client.number_orders.list(page_size=1)]
    equal(ids, [lost[0].id, order.id], "orders, newest first, one a page")
    since = {"created_at": {"gt": "2020-01-01T00:00:00Z"}, "status": "success"}
    equal(len(list(client.number_orders.list(filter=since))), 2, "orders of this age and status")
    pages = [row.phone_number for row in client.phone_numbers.list(page_size=1)]
    equal(sorted(pages), [first, second], "numbers, one a page")
    shown("telnyx: orders and numbers are listed on pages")

    third = offers(client, "5550003").phone_number
    control.call("POST", "/switches", {"orderMs": 60000})
    order = client.number_orders.create(phone_numbers=[{"phone_number": third}]).data
    subs = client.sub_number_orders.list(filter={"order_request_id": order.id}).data
    equal([sub.id for sub in subs], order.sub_number_orders_ids, "the sub-orders")
    equal(subs[0].status, "pending", "the sub-order")
    equal(client.sub_number_orders.cancel(subs[0].id).data.id, subs[0].id, "the cancelled sub-order")
    equal(client.number_orders.retrieve(order.id).data.status, "failure", "the cancelled order")
    again = lambda: once.sub_number_orders.cancel(subs[0].id)
    telnyx_refuses(telnyx.UnprocessableEntityError, "10015", "cancelling twice", again)
    equal((control.count("cancel", third), control.count("purchase", third)), (1, 0), "in the ledger")
    control.call("POST", "/switches", {"orderMs": 300})
    shown("telnyx: a pending order is cancelled")

    gone = client.phone_numbers.delete(number.id).data
    equal((gone.id, gone.status), (number.id, "deleted"), "what was given back")
    equal(owned(client, first), [], "the number, listed")
    for call in (once.phone_numbers.delete, once.phone_numbers.retrieve):
        telnyx_refuses(telnyx.NotFoundError, "10005", "what is gone", lambda: call(number.id))
    equal(control.count("release", first), 1, "releases in the ledger")
    shown("telnyx: a number is given back")

    stranger = telnyx_client(base, "wrong")
    for call in (stranger.balance.retrieve, stranger.phone_numbers.list):
        telnyx_refuses(telnyx.AuthenticationError, "10009", "a wrong key", call)
    shown("telnyx: a wrong key is refused")


def main():
    twilio_base, telnyx_base, control_base = sys.argv[1:]
    control = Control(control_base)
    check_twilio(twilio_base, control)
    check_telnyx(telnyx_base, control)


main()
