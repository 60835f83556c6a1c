"""The sensor `daily`: each night the day that has ended is made, by automation conditions.

The conditions are those of the day assets alone. Windows are left to the sensor `newest_window`,
for no condition says what it looks for: `eager` never fires while any day of a window is missing,
late data for an old day fires nothing for the newest window, and the newest day that has documents
isn't the latest partition.
"""

from datetime import timedelta

import dagster as dg

from stupid_dagster.tables import DAY_TABLES

_Condition = dg.AutomationCondition


def day_has_ended(zone: str) -> dg.AutomationCondition:
    """Return the condition of documents: an hour after its midnight the day wasn't made anew yet.

    It is for partitions to which the running day belongs, and asks for a day once.
    """

    def passed(cron: str) -> dg.AutomationCondition:
        return _Condition.cron_tick_passed(cron, zone)

    # The day before the latest. Days are 23 to 25 hours long: 60 hours before the end of the latest
    # lies the day before both.
    is_yesterday = (
        _Condition.in_latest_time_window(timedelta(hours=60)) & ~_Condition.in_latest_time_window()
    )
    # Each `since` has one cause to begin and one to end: then Dagster knows which came later when
    # it learns of both at once, as after a night without it. Not all can end at midnight:
    # where clocks are set forward then, one o'clock is the same moment.
    an_hour_ago = passed("0 1 * * *").since(passed("0 23 * * *"))
    made_since = _Condition.newly_updated().since(passed("0 0 * * *"))
    asked_for_since = _Condition.newly_requested().since(passed("0 23 * * *"))
    return (
        is_yesterday & an_hour_ago & ~made_since & ~asked_for_since & ~_Condition.in_progress()
    ).with_label("the day has ended, and wasn't made since")


WITH_ITS_DEPS = _Condition.any_deps_match(_Condition.will_be_requested())
"""The condition of the tables that are made of documents: in one run with them."""

daily_sensor = dg.AutomationConditionSensorDefinition(
    "daily",
    target=dg.AssetSelection.assets(*DAY_TABLES),
    description=(
        "Make the day that has ended, an hour after its midnight. With the setting "
        "`partitions_end` the days are a closed range, and nothing is asked for."
    ),
)
