"""Corrections of how EventBridge delivers to targets, see patches.py."""

import http.client
import json
import random
import time

import ministack.services.eventbridge as eventbridge
import ministack.services.sqs as queues
from ministack.core.responses import get_account_id, get_region, set_request_account_id, set_request_region
from rewriting import rewrite

# What AWS does where a target has no policy.
MOST_RETRIES = 185
OLDEST_SECONDS = 24 * 60 * 60

# Nobody waits a day here: an hour of a policy lasts a second. AWS says nothing of its waits but that they grow.
SECONDS_PER_HOUR = 1
FIRST_WAIT = 0.1
LONGEST_WAIT = 2.0

# Answers of an endpoint after which EventBridge tries again, besides 5xx.
RETRIED = (401, 407, 409, 429)


class Undelivered(Exception):
    """An attempt that failed: with a code of AWS's list, and whether another may succeed."""

    def __init__(self, code: str, message: str, again: bool = False):
        super().__init__(message)
        self.code = code
        self.again = again


class Delivery:
    """An event on its way to a target of a rule. What can't be delivered ends in the target's dead-letter queue."""

    def __init__(self, target, rule, view):
        self.target = target
        self.rule_arn = eventbridge._rule_arn(rule["Name"], rule.get("EventBusName", "default"))
        self.event = json.dumps(view.event_with_detail())
        self.scope = (get_account_id(), get_region())

    def attempt_until_done(self, send, *arguments) -> None:
        """Runs in a thread of its own, which doesn't know whose request it works for."""
        account, region = self.scope
        set_request_account_id(account)
        set_request_region(region)
        policy = self.target.get("RetryPolicy") or {}
        most = int(policy.get("MaximumRetryAttempts", MOST_RETRIES))
        oldest = int(policy.get("MaximumEventAgeInSeconds", OLDEST_SECONDS)) / 3600 * SECONDS_PER_HOUR
        began = time.monotonic()
        retries = 0
        while True:
            try:
                return send(*arguments)
            except Undelivered as failure:
                wait = min(FIRST_WAIT * 2 ** min(retries, 10), LONGEST_WAIT) * random.uniform(0.5, 1)
                if not failure.again:
                    return self.give_up(failure, retries)
                if retries >= most:
                    return self.give_up(failure, retries, "MaximumRetryAttempts")
                if time.monotonic() + wait - began > oldest:
                    return self.give_up(failure, retries, "MaximumEventAgeInSeconds")
                time.sleep(wait)
                retries += 1

    def give_up(self, failure: Exception, retries: int = 0, exhausted: str | None = None) -> None:
        arn = (self.target.get("DeadLetterConfig") or {}).get("Arn")
        code = getattr(failure, "code", "INTERNAL_ERROR")
        eventbridge.logger.warning("EventBridge: %s undelivered: %s %s", self.target.get("Arn"), code, failure)
        queue = queues._queue_by_arn(arn) if arn else None
        if queue is None:
            return
        said = {
            "RULE_ARN": self.rule_arn,
            "TARGET_ARN": self.target.get("Arn", ""),
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(failure),
            "RETRY_ATTEMPTS": str(retries),
            **({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {}),
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}
        message = {
            "id": eventbridge.new_uuid(),
            "body": self.event,
            "message_attributes": attributes,
            "md5_attrs": queues._md5_msg_attrs(attributes),
        }
        queues._ensure_msg_fields(message)
        queue["messages"].append(message)


def unreached(error: Exception) -> Undelivered:
    """What an attempt that got no answer comes to."""
    if isinstance(getattr(error, "reason", error), TimeoutError):
        return Undelivered("TIMEOUT", str(error), again=True)
    again = isinstance(error, (OSError, http.client.HTTPException))
    return Undelivered("CONNECTION_FAILURE" if again else "INVALID_PARAMETER", str(error), again)


def refused(status: int) -> Undelivered:
    """What an answer comes to that isn't 2xx."""
    code = "THROTTLING" if status == 429 else "ERROR_FROM_TARGET"
    return Undelivered(code, f"the endpoint answered {status}", again=status in RETRIED or status >= 500)


def named(event, rule) -> bool:
    """Whether a replay is for a rule; what isn't replayed is for all."""
    arns = event.get("_FilterArns")
    return not arns or eventbridge._rule_arn(rule["Name"], rule.get("EventBusName", "default")) in arns


def deliver_as_documented() -> None:
    """A webhook is called once, and what can't be delivered to it, a queue, a topic or a bus is forgotten: RetryPolicy and
    DeadLetterConfig of a target are kept and not used. A replay goes to every rule, whatever its FilterArns say."""
    eventbridge._rekey_named = named
    eventbridge._rekey_delivery = Delivery
    eventbridge._rekey_undelivered = Undelivered
    eventbridge._rekey_unreached = unreached
    eventbridge._rekey_refused = refused
    gone = '        raise _rekey_undelivered("NO_RESOURCE", "the target does not exist")\n'
    rewrite(
        eventbridge, "_invoke_target",
        ('    event_path = set(event.get("_DispatchPath") or [])\n',
         '    event_path = set(event.get("_DispatchPath") or [])\n'
         "    if not event_path and not _rekey_named(event, rule):\n        return\n"),
        ('{**target, "HttpParameters": http_parameters}',
         '{**target, "HttpParameters": http_parameters, "Delivery": _rekey_delivery(target, rule, view)}'),
        ('        logger.error("EventBridge target dispatch error for %s: %s", arn, e)\n',
         "        _rekey_delivery(target, rule, view).give_up(e)\n"),
    )
    rewrite(eventbridge, "_dispatch_to_sqs", (
        '        logger.warning("EventBridge → SQS: queue %s not found", queue_name)\n        return\n', gone))
    rewrite(eventbridge, "_dispatch_to_sns", (
        '        logger.warning("EventBridge → SNS: topic %s not found", arn)\n        return\n', gone))
    missing = "    if bus_name not in _event_buses:\n"
    rewrite(eventbridge, "_dispatch_to_event_bus", (
        f'{missing}        logger.warning("EventBridge -> Event bus: event bus %s not found", spec)\n        return\n',
        missing + gone))
    rewrite(
        eventbridge, "_dispatch_to_api_destination",
        ('        logger.warning("EventBridge → API destination: %s not found", name)\n        return\n', gone),
        ("        target=_deliver_to_api_destination,\n        args=(name,",
         '        target=target["Delivery"].attempt_until_done,\n        args=(_deliver_to_api_destination, name,'),
    )
    rewrite(
        eventbridge, "_deliver_to_api_destination",
        ('        logger.warning("EventBridge → API destination %s delivery failed: %s", name, exc)\n        return\n',
         "        raise _rekey_unreached(exc) from exc\n"),
        ("        logger.warning(\n"
         '            "EventBridge → API destination %s: retryable HTTP %s (retry pipeline not modeled; dropped)",\n'
         "            name,\n            status,\n        )\n",
         "        raise _rekey_refused(status)\n"),
        ('        logger.warning("EventBridge → API destination %s: HTTP %s (not retryable; dropped)", name, status)\n',
         "        raise _rekey_refused(status)\n"),
    )
    rewrite(eventbridge, "_start_replay", (
        '                replayed["ReplayName"] = name\n',
        '                replayed["ReplayName"] = name\n'
        '                replayed["_FilterArns"] = dest.get("FilterArns")\n'))
