# %% [markdown]
# # Dates, times and zones

# %%
import calendar
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
start = datetime(2024, 3, 30, 22, 15, tzinfo=berlin)
start, start.astimezone(tokyo).isoformat()

# %% [markdown]
# The night the clocks go forward: a day of the calendar is not always 24 hours.

# %%
tomorrow = start + timedelta(days=1)
elapsed = tomorrow.astimezone(UTC) - start.astimezone(UTC)
tomorrow.isoformat(), elapsed, tomorrow.utcoffset(), tomorrow.tzinfo is berlin

# %%
twice = [datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1)]
[moment.tzname() for moment in twice], twice[0] == twice[1], (twice[1].timestamp() - twice[0].timestamp()) / 3600

# %%
agenda = {}


def plan(day, what, hours=1):
    """Add to the notebook's agenda."""
    agenda.setdefault(day, []).append((time(9), what, timedelta(hours=hours)))
    return agenda[day]


plan(date(2024, 2, 29), "leap")
plan(date(2024, 2, 29), "rest", 2.5)

# %%
plan(date(2024, 3, 1), "work")
total = sum((length for day in agenda.values() for _, _, length in day), timedelta())
total, max(agenda), agenda

# %%
parsed = [datetime.strptime("01 Apr 2024 13:05", "%d %b %Y %H:%M"), datetime.fromisoformat("2024-04-01T13:05:00+02:00")]
print(parsed[0].strftime("%A, %j. day, week %V"))
parsed[1].tzinfo, parsed[0].tzinfo

# %% raises
parsed[0] < parsed[1]

# %%
parsed[0] = parsed[0].replace(tzinfo=timezone(timedelta(hours=2), "CEST"))
parsed[0] == parsed[1], parsed[0]

# %%
print(calendar.TextCalendar().formatmonth(2024, 2))
[calendar.day_abbr[date(year, 2, 1).weekday()] for year in range(2024, 2028)], calendar.isleap(2100)


# %%
class Deadline:
    """Compares with dates; asks the notebook what day it is."""

    def __init__(self, year, month, day):
        self.day = date(year, month, day)

    def __sub__(self, other):
        return (self.day - other).days

    @property
    def left(self):
        return self - TODAY


TODAY = date(2024, 2, 20)
deadline = Deadline(2024, 3, 1)
deadline.left

# %%
TODAY += timedelta(weeks=1)
deadline.left, tuple(TODAY.isocalendar()), date.max - TODAY

# %%
import pandas as pd

stamps = pd.to_datetime(pd.Series(["2024-03-31 01:30", "2024-03-31 03:30"])).dt.tz_localize(berlin)
stamps.diff().iloc[1], stamps.dt.tz
