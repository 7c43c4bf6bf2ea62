"""The page of a simulation, as readers meet it."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from email_scheduler.simulation.simulation_figures import SimulationFigures
from email_scheduler.simulation.simulation_page import simulation_page
from email_scheduler_tests.e2e.pages import assert_good_page, reading

OUTCOMES = {"on time": 300, "late": 60, "lost": 4, "excluded": 25, "outside dates": 1, "withdrawn": 2}
FIGURES = SimulationFigures(
    organization="north & <south>",
    days=[date(2026, 9, 1) + timedelta(days=number) for number in range(60)],
    click_rate=0.25,
    answer_rate=0.4,
    condition_rate=0.125,
    seed=1,
    contacts_by_emails=[20, 130, 40, 50],
    volume={"birthday": [1, 2] * 30, "aep": [0] * 20 + [5] * 30 + [0] * 10, "follow-ups": [2] * 60},
    caps=[7] * 60,
    outcomes=OUTCOMES,
    still_open=1234,
    late_by_days={1: 30, 2: 20, 45: 10},
    lost_by_reason={"daily_cap_exceeded": 4},
    excluded_by_reason={"Birthday exclusion window in CA": 25},
    by_type={"birthday": OUTCOMES, "campaign_initial_blast": OUTCOMES},
    by_state={"CA": OUTCOMES, "TX": OUTCOMES},
    promises=10_000,
    moved=7,
    withdrawn=1,
    proofs=2,
    violations=0,
)


def test_the_page_of_a_simulation_is_good_for_all_readers(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "simulation.html"
    path.write_text(simulation_page(FIGURES), encoding="utf-8")
    with reading(path, browser) as reader:
        assert reader.page.title() == "Simulation: north & <south>"
        text = reader.page.inner_text("main")
        for said in ("2 of the plans were proved: no row breaks a rule", "the next plan changed 0.80"):
            assert said in text
        assert_good_page(reader, tmp_path, "simulation")
        reader.page.get_by_text("The numbers").first.click()
        assert "130" in reader.page.inner_text("details[open]")


def test_a_page_without_late_emails_and_with_violations_says_so() -> None:
    page = simulation_page(replace(FIGURES, late_by_days={}, violations=3, lost_by_reason={}))
    assert "3 rows break a rule" in page
    assert "<p>None.</p>" in page
