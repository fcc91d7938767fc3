"""Forms are read as a browser without JavaScript reads them."""

from loadtests.forms import Form, forms_of


def test_presets_are_kept_and_what_is_typed_is_added() -> None:
    page = """<form method="post" action="/pay"><input type="hidden" name="token" value="t">
    <input name="card_number"><input type="checkbox" name="save" value="1"></form>"""
    (form,) = forms_of(page)
    assert form == Form("/pay", "POST", {"token": "t", "card_number": ""})
    assert form.filled(card_number="4242") == {"token": "t", "card_number": "4242"}


def test_the_first_of_several_buttons_is_pressed() -> None:
    page = """<form method="post"><button name="decision" value="approve">Yes</button>
    <button name="decision" value="refuse">No</button></form>"""
    assert forms_of(page) == [Form("", "POST", {"decision": "approve"})]


def test_fields_outside_a_form_belong_to_none() -> None:
    assert forms_of('<input name="a"><form></form><input name="b">') == [Form("", "GET", {})]
