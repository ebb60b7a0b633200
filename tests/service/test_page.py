"""The page in a real browser: what people do with it, and what can go wrong meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from browsing import Visitor, chromium, file_of
from fake_matcher import print_bytes
from fake_service import TOKENS, FastMatcher
from running import running

from ifvit.gallery.gallery import Gallery
from ifvit.service.access import Keys
from ifvit.service.app import Service
from ifvit.service.limits import Limits

FIRST, SECOND = (file_of(f"1_{number}.png", print_bytes(1, number)) for number in (0, 1))
OTHER = file_of("2_0.png", print_bytes(2))


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    matcher = FastMatcher()
    gallery = Gallery(tmp_path_factory.mktemp("kept") / "gallery", matcher, create=True)
    with running(Service(matcher, gallery, limits=Limits(threads=1, waiting=4))) as made:
        yield made


@pytest.fixture
def visit(browser, port):
    """Return what opens the page; nothing may go wrong in it that nobody foresaw."""
    visitors: list[Visitor] = []

    def opened(at: int = port, **settings) -> Visitor:
        visitors.append(Visitor(browser, at, **settings))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        visitor.context.close()
        assert visitor.wrong == []


def serious(page) -> list[str]:
    """Return what axe-core finds serious or critical, by rule and element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
    ]


def test_a_match_is_decided_drawn_and_taken_along(visit):
    visitor = visit(viewport={"width": 1200, "height": 900})
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    assert visitor.text(".verdict").startswith(
        "Taken for one finger at a false match rate of 0.1 %"
    )
    assert visitor.page.evaluate("document.activeElement.className").startswith("verdict")
    assert "80 of 100, good" in visitor.text(".measures")
    assert visitor.page.locator(".dots circle").count() == 6
    for name in ("Minutiae", "Slider", "Blink", "Checkerboard", "Distortion"):
        visitor.tab(name)
        assert visitor.page.locator(".view > *").count() == 1
    kept = json.loads(visitor.saved("JSON").read_text(encoding="utf-8"))
    assert kept["name0"] == "1_0.png" and kept["evidence"]["image0"].startswith("data:image/png")
    visitor.choose(FIRST, OTHER)
    visitor.compare()
    assert visitor.text(".verdict").startswith("Not taken for one finger")


def test_a_pointer_on_a_cell_shows_it_enlarged_in_both_prints(visit):
    visitor = visit(viewport={"width": 1200, "height": 900})
    visitor.page.route("**/api/match", changed(spread))
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    dots = visitor.page.locator(".dots circle")
    for number, place in ((1, "(20, 30)"), (3, "(60, 70)")):
        # Weak ones lie below; here all are as strong, in their order, two dots each.
        dots.nth(2 * (number - 1)).hover(force=True)
        caption = visitor.text(".lens .caption")
        assert caption.startswith(f"Pair {number} of 3: {place} and {place}")
        dark = visitor.page.evaluate(
            """() => [...document.querySelectorAll(".lens canvas")].map((canvas) => {
              const { data } = canvas.getContext("2d").getImageData(0, 0, 320, 320);
              return data.filter((value, i) => i % 4 === 0 && value < 100).length / data.length * 4;
            })"""
        )
        assert all(0.2 < share < 0.8 for share in dark)


def spread(found) -> None:
    """Put the three correspondences apart from each other."""
    places = [[20, 30], [40, 50], [60, 70]]
    found["evidence"]["matches"] |= {"points0": places, "points1": places}


def changed(change):
    """Return a route that changes the first candidate of an answer."""

    def answer(route) -> None:
        made = route.fetch()
        found = made.json()
        change(found["candidates"][0])
        route.fulfill(response=made, json=found)

    return answer


def test_prints_that_are_not_aligned_and_weights_without_a_calibration_are_said(visit):
    visitor = visit()
    apart = {"status": "not_aligned", "reason": "too few cells agree", "score": -1}
    visitor.page.route("**/api/match", changed(lambda found: found.update(apart)))
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    assert visitor.text(".verdict").endswith("laid on each other: too few cells agree.")
    visitor.page.unroute("**/api/match")
    nothing = {"fmr": None, "quality0": None}
    visitor.page.route("**/api/match", changed(lambda found: found.update(nothing)))
    visitor.compare()
    visitor.page.wait_for_selector(".decision[data-accepted=null]")
    assert "not calibrated" in visitor.text(".verdict")
    assert visitor.page.locator(".gauge").count() == 0


def test_a_print_can_be_dropped(visit):
    visitor = visit()
    handle = visitor.page.evaluate_handle(
        """(bytes) => {
          const held = new DataTransfer();
          held.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
          return held;
        }""",
        list(FIRST["buffer"]),
    )
    visitor.page.dispatch_event(".zone >> nth=0", "drop", {"dataTransfer": handle})
    assert "dropped.png" in visitor.text(".zone >> nth=0")
    visitor.page.wait_for_selector(".zone >> nth=0 >> img", state="visible")


def test_the_threshold_moves_the_decision(visit):
    visitor = visit()
    visitor.choose(FIRST, OTHER)
    visitor.compare()
    assert visitor.page.get_attribute(".decision", "data-accepted") == "false"
    visitor.page.fill(".decision input[type=range]", "0")
    assert visitor.page.get_attribute(".decision", "data-accepted") == "true"
    assert "at a false match rate of 100 %" in visitor.text(".verdict")


def test_a_name_is_text_wherever_it_is_shown(visit, tmp_path):
    name = "<img src=x onerror=alert(1)>.png"
    visitor = visit()
    visitor.choose(file_of(name, FIRST["buffer"]), SECOND)
    visitor.compare()
    assert name in visitor.text("#compare-result")
    visitor.tab("Minutiae")
    assert visitor.page.locator("img[src='x']").count() == 0
    report = tmp_path / "evidence.html"
    report.write_bytes(visitor.saved("One HTML page").read_bytes())
    visitor.page.goto(report.as_uri())
    assert name in visitor.text("h1")
    assert visitor.page.locator("img[src='x']").count() == 0
    assert "://" not in report.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
    held = visitor.page.text_content("#evidence")
    assert held and json.loads(held)["name0"] == name


def test_enrol_search_and_remove(visit):
    visitor = visit()
    page = visitor.page
    page.click("#go-gallery")
    for subject, file in (("Ada <b>L.</b>", FIRST), ("Grace", OTHER)):
        page.set_input_files("[aria-label^='Print to enrol']", file)
        page.get_by_label("Whose print it is").fill(subject)
        page.click("form[aria-label=Enrol] button.primary")
        page.get_by_text(f"{subject} is enrolled", exact=False).first.wait_for()
    # The list is asked for anew after the message: it may come later.
    page.get_by_text("Who is enrolled: 2").wait_for()
    page.set_input_files("[aria-label^='Print to search']", SECOND)
    page.click("form[aria-label=Search] button.primary")
    page.wait_for_selector(".card")
    assert visitor.text(".card >> nth=0").startswith("1. Ada <b>L.</b>")
    assert serious(page) == []
    page.click("role=button[name='Evidence for Ada <b>L.</b>']")
    page.wait_for_selector(".results .exports")
    assert visitor.text(".results .decision .verdict").startswith("Taken for one finger")
    for keeps in (True, False):
        page.click("role=button[name='Remove Ada <b>L.</b>']")
        assert serious(page) == []
        page.click(f"dialog button[value={'keep' if keeps else 'remove'}]")
        page.wait_for_selector("dialog", state="detached")
        if keeps:
            assert page.locator(".subjects li").count() == 2
    page.get_by_text("Ada <b>L.</b> is removed.").first.wait_for()
    page.get_by_text("Who is enrolled: 1").wait_for()
    assert visitor.text(".subjects").startswith("Grace")


def test_a_search_by_who_may_not_see_enrolled_prints_has_no_evidence(visit, tmp_path):
    matcher = FastMatcher()
    gallery = Gallery(tmp_path / "gallery", matcher, create=True)
    gallery.enroll([print_bytes(1)], subject="Ada", keep_prints=True)
    keys = Keys(list(TOKENS.items()))
    with running(Service(matcher, gallery, keys)) as guarded:
        for role in ("match", "enroll"):
            page = visit(guarded).page
            page.fill("#token", TOKENS[role])
            page.click("#go-gallery")
            page.set_input_files("[aria-label^='Print to search']", SECOND)
            page.click("form[aria-label=Search] button.primary")
            page.wait_for_selector(".card")
            seen = page.locator(".card img").count(), page.get_by_text("of the role enroll").count()
            assert seen == ((0, 1) if role == "match" else (1, 0))


def test_a_candidate_that_was_not_compared_says_why(visit, tmp_path):
    gallery = Gallery(tmp_path / "gallery", FastMatcher(), create=True)
    for finger, subject in ((1, "Ada"), (2, "Grace")):
        gallery.enroll([print_bytes(finger)], subject=subject, keep_prints=True)

    def uncompared(finds: bool, route) -> None:
        made = route.fetch()
        found = made.json()
        found["candidates"][1] |= {"score": None, "evidence": None}
        found["found"] = found["found"] if finds else []
        route.fulfill(response=made, json=found)

    with running(Service(FastMatcher(), gallery)) as port:
        page = visit(port).page
        page.click("#go-gallery")
        page.set_input_files("[aria-label^='Print to search']", SECOND)
        for finds, told in (
            (True, "another finger was found before it"),
            (False, "not kept: by"),
        ):
            page.route("**/api/search", partial(uncompared, finds))
            page.click("form[aria-label=Search] button.primary")
            page.wait_for_selector(f".card >> nth=1 >> text={told}")


def test_tiny_rates_are_powers_of_ten(visit):
    texts = visit().page.evaluate(
        """async () => {
          const { tiny } = await import("/page/figures.js");
          return [0.012, 2e-5, 6.4e-10, 3e-14, 0].map(tiny);
        }"""
    )
    assert texts == ["1 %", "0.002 %", "6·10⁻⁸\u00a0%", "3·10⁻¹²\u00a0%", "0 %"]


def test_what_is_no_print_is_told_with_what_to_do(visit):
    visitor = visit()
    visitor.choose(file_of("letter.png", b"Dear Sir or Madam"), SECOND)
    visitor.page.click("#compare-form button.primary")
    told = visitor.page.wait_for_selector("#compare-status [role=alert]").inner_text()
    assert "letter.png" in told and "Send another image" in told
    assert visitor.page.locator("#compare-result > *").count() == 0
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    assert visitor.text("#compare-status") == ""


def test_a_token_is_asked_for_and_kept_in_the_page_alone(visit):
    keys = Keys(list(TOKENS.items()))
    with running(Service(FastMatcher(), keys=keys)) as guarded:
        visitor = visit(guarded)
        visitor.choose(FIRST, SECOND)
        for token, told in (("", "needs a token"), ("guessed", "not one of this service")):
            visitor.page.fill("#token", token)
            visitor.page.click("#compare-form button.primary")
            visitor.page.wait_for_selector(f"#compare-status [role=alert] >> text={told}")
        visitor.page.fill("#token", TOKENS["match"])
        visitor.compare()
        assert visitor.page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert visitor.context.cookies() == []


def test_a_missing_print_and_a_wrong_resolution_are_told(visit):
    visitor = visit()
    visitor.page.click("#compare-form button.primary")
    assert "Two prints are needed" in visitor.text("#compare-status")
    visitor.choose(FIRST, SECOND)
    visitor.page.get_by_label("Resolution, ppi").first.fill("20")
    visitor.page.click("#compare-form button.primary")
    assert "from 100 to 4000 ppi" in visitor.text("#compare-status")


def test_twenty_megabytes_are_refused_before_they_are_sent_and_by_the_service(visit, tmp_path):
    large = tmp_path / "large.png"
    large.write_bytes(bytes(20_000_000))
    visitor = visit()
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))
    visitor.page.set_input_files("[aria-label^='Print 1:']", large)
    visitor.page.set_input_files("[aria-label^='Print 2:']", SECOND)
    visitor.page.click("#compare-form button.primary")
    told = visitor.page.wait_for_selector("#compare-status [role=alert]").inner_text()
    assert "large.png is of 20.0 MB" in told and "at most 10 MB" in told
    assert not [url for url in sent if "/api/match" in url]
    refused = visitor.page.evaluate(
        """async () => {
          const { ask } = await import("/page/api.js");
          const body = new Blob([new Uint8Array(20e6)]);
          try { await ask("/api/match", { method: "POST", body }); }
          catch (error) { return error.message; }
        }"""
    )
    # Whether the answer arrives before the connection ends is the browser's.
    assert "at most 10 MB" in refused or "does not answer" in refused


@pytest.fixture
def slow():
    """A service in a process of its own whose matches do not end; its first line is its port."""
    script = Path(__file__).with_name("slow_service.py")
    folders = [str(script.parent), str(script.parents[1] / "gallery")]
    code = (
        f"import runpy, sys; sys.path[:0] = {folders!r}; "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as made:
        yield made
        made.kill()


def test_a_service_that_is_killed_meanwhile_leaves_the_page_usable(visit, slow):
    visitor = visit(int(slow.stdout.readline()))
    visitor.choose(FIRST, SECOND)
    visitor.page.click("#compare-form button.primary")
    assert slow.stdout.readline() == "matching\n"
    assert visitor.page.locator("progress").is_visible()
    visitor.page.click("role=button[name='Stop']")
    assert visitor.text("#compare-status") == "Stopped."
    visitor.page.click("#compare-form button.primary")
    assert slow.stdout.readline() == "matching\n"
    slow.kill()
    told = visitor.page.wait_for_selector("#compare-status [role=alert]").inner_text()
    assert "The service does not answer" in told and "try again" in told
    assert visitor.page.is_enabled("#compare-form button.primary")
    assert "1_0.png" in visitor.text("#compare-drops")


def reach(page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by Tab")


def opened_by_keyboard(page):
    """Return the file chooser that the space bar opens; a busy browser may miss a stroke."""
    missed = pytest.importorskip("playwright.sync_api").TimeoutError
    for seconds in (20, 20, 60):
        try:
            with page.expect_file_chooser(timeout=1000 * seconds) as chooser:
                page.keyboard.press("Space")
        except missed:
            continue
        return chooser.value
    raise AssertionError("the space bar opens no file chooser")


def test_all_of_a_match_works_by_keyboard_alone(visit):
    visitor = visit()
    page = visitor.page
    for number, file in ((1, FIRST), (2, OTHER)):
        reach(page, f"[aria-label^='Print {number}:']")
        opened_by_keyboard(page).set_files(file)
    reach(page, "#compare-form button.primary")
    page.keyboard.press("Enter")
    page.wait_for_selector(":focus:has-text('Not taken')")
    reach(page, ".decision input[type=range]")
    page.keyboard.press("Home")
    assert page.get_attribute(".decision", "data-accepted") == "true"
    reach(page, "[role=tab][aria-selected=true]")
    for name in ("Minutiae", "Slider", "Blink", "Checkerboard", "Distortion", "Cells"):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f"[role=tab]:focus:text-is('{name}')")
        assert page.locator("[role=tab][aria-selected=true]").inner_text() == name
    reach(page, ".view input[type=range]")
    before = visitor.text(".lens .caption")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert visitor.text(".lens .caption").startswith("Pair 2 of 3")
    assert before.startswith("Pair ")


def test_removing_works_by_keyboard_and_gives_the_focus_back(visit):
    visitor = visit()
    page = visitor.page
    page.click("#go-gallery")
    page.set_input_files("[aria-label^='Print to enrol']", file_of("3.png", print_bytes(3)))
    page.get_by_label("Whose print it is").fill("Zoe")
    page.keyboard.press("Enter")
    page.get_by_text("Zoe is enrolled", exact=False).first.wait_for()
    reach(page, "[aria-label='Remove Zoe']")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.wait_for_selector("[aria-label='Remove Zoe']:focus")
    page.keyboard.press("Enter")
    reach(page, "dialog button[value=remove]")
    page.keyboard.press("Enter")
    page.get_by_text("Zoe is removed.").first.wait_for()


def test_axe_would_find_it(visit):
    visitor = visit()
    visitor.page.evaluate("document.querySelector('#examples').parentElement.replaceWith(examples)")
    assert any(one.startswith("select-name") for one in serious(visitor.page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.heavy
def test_nothing_serious_is_found_by_axe(visit, scheme):
    visitor = visit(color_scheme=scheme, viewport={"width": 1200, "height": 900})
    found = serious(visitor.page)
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    for name in ("Cells", "Minutiae", "Slider", "Blink", "Checkerboard", "Distortion"):
        visitor.tab(name)
        found += serious(visitor.page)
    visitor.page.click("#go-gallery")
    found += serious(visitor.page)
    visitor.page.click("form[aria-label=Search] button.primary")
    found += serious(visitor.page)
    assert found == []


def test_a_phone_shows_all_of_it_without_scrolling_sideways(visit):
    visitor = visit(viewport={"width": 360, "height": 740}, has_touch=True)
    wide = "document.documentElement.scrollWidth"
    assert visitor.page.evaluate(wide) == 360
    assert serious(visitor.page) == []
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    for name in ("Cells", "Minutiae", "Slider", "Blink", "Checkerboard", "Distortion"):
        visitor.tab(name)
        assert visitor.page.evaluate(wide) == 360, name
    visitor.page.click("#go-gallery")
    assert visitor.page.evaluate(wide) == 360


def test_blinking_can_be_held_and_does_not_start_where_motion_is_not_wanted(visit):
    visitor = visit(reduced_motion="reduce")
    visitor.choose(FIRST, SECOND)
    visitor.compare()
    visitor.tab("Blink")
    held = visitor.page.locator(".view button[aria-pressed]")
    assert held.inner_text() == "Blink"
    held.click()
    assert held.inner_text() == "Hold"
    visitor.page.wait_for_selector(".layered .over", state="visible")
    visitor.page.click("role=button[name='Show the other']")
    assert held.inner_text() == "Blink"


def test_a_real_match_of_the_examples_has_numbered_minutiae(visit):
    from ifvit.matcher import Matcher

    with running(Service(Matcher.from_pretrained())) as port:
        visitor = visit(port)
        page = visitor.page
        page.set_default_timeout(60_000)
        page.select_option("#examples", index=1)
        page.wait_for_selector(".zone.full >> nth=1")
        visitor.compare()
        assert page.is_hidden("#go-gallery")
        assert page.locator(".dots circle").count() > 100
        visitor.tab("Minutiae")
        numbers = page.locator(".minutia text").all_text_contents()
        rows = page.locator(".minutiae-table tbody tr").count()
        assert rows >= 8
        assert sorted(numbers) == sorted(2 * [str(row + 1) for row in range(rows)])
        # The page scrolls to what has the focus: a resting pointer would choose what comes there.
        page.mouse.move(0, 0)
        page.focus(".minutiae-table tbody tr:nth-child(3) button")
        assert visitor.text(".lens .caption").startswith("Minutia 3, ")
        assert page.locator(".minutia.chosen-one").count() == 2
        visitor.tab("Distortion")
        assert page.locator(".arrows line").count() > 20
