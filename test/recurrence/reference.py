"""The next dates of recurrence rules by python-dateutil: a JSON array of cases in, one of their dates out.

A case is {"rule", "due", "after", "years"}: the first date of the rule, begun at "due", after "after", of the next
"years" years, or null; or {"rule", "due", "completions"}: the dates of the task completed so many times, each time
on its day, or, with "late", the given numbers of days after it, in turns, and counted from there.
"""
import json
import sys
from datetime import date, datetime, time, timedelta

from dateutil.rrule import rrulestr

WEEK = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def at(text):
    return datetime.combine(date.fromisoformat(text), time())


def as_dateutil_means_it(rule, start):
    """The rule and its beginning, changed where dateutil reads RFC 5545 in another way.

    A weekday without a number beside one with a number is all of these weekdays, not a second condition. The positions
    of a week count from its first day, not from the day on which the rule begins.
    """
    parts = dict(part.split("=") for part in rule.split(";"))
    days = parts.get("BYDAY", "").split(",")
    if len({len(day) > 2 for day in days}) == 2:
        most = 53 if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts else 5
        spelled = [[day] if len(day) > 2 else [f"{n}{day}" for n in range(1, most + 1)] for day in days]
        parts["BYDAY"] = ",".join(sum(spelled, []))
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts and "BYDAY" in parts:
        start -= timedelta(days=(start.weekday() - WEEK.index(parts.get("WKST", "MO"))) % 7)
    return ";".join(f"{name}={value}" for name, value in parts.items()), start


def next_date(rule, due, after, years):
    text, start = as_dateutil_means_it(rule, at(due))
    last = at(after).replace(day=1)
    last = last.replace(year=min(9999, last.year + years))
    found = rrulestr(text, dtstart=start).replace(until=last).after(at(after))
    return found and found.date().isoformat()


def completions(rule, due, number, late):
    dates = []
    completed = at(due)
    if not late:
        dates = [found.date().isoformat() for found, _ in zip(rrulestr(rule, dtstart=completed), range(number + 1))]
        return dates[1:]
    for index in range(number):
        due = rrulestr(rule, dtstart=completed).after(completed)
        dates.append(due.date().isoformat())
        completed = due + timedelta(days=late[index % len(late)])
    return dates


def answer(case):
    if "completions" in case:
        late = case.get("late")
        start = at(case["due"]) + timedelta(days=late[-1] if late else 0)
        return completions(case["rule"], start.date().isoformat(), case["completions"], late)
    return next_date(case["rule"], case["due"], case["after"], case["years"])


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
