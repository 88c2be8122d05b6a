"""Corrections of MiniStack's Lambda, see patches.py."""

import functools
import json
import os
import threading

import ministack.core.lambda_runtime as runtime
import ministack.services.eventbridge as eventbridge
import ministack.services.lambda_svc as functions
import ministack.services.stepfunctions as machines
from rewriting import rewrite


ERROR_MARK = "rekey-error:"


def name_errors_of_node_functions() -> None:
    """The Node worker reports an error's message alone, and MiniStack calls each `Runtime.HandlerError`: no Catch or
    Retry of a machine that names an error would match."""

    def report(error: str) -> str:
        return (
            f'status: "error", trace: {error}.stack || "", error: "{ERROR_MARK}" + JSON.stringify({{'
            f' errorType: {error}.name || "Error", errorMessage: String({error}.message || {error}),'
            f' trace: String({error}.stack || "").split("\\n") }})'
        )

    script = runtime._NODEJS_WORKER_SCRIPT
    for old, new in (
        ('status: "error", error: String(err.message || err), trace: err.stack || ""', report("err")),
        ('status: "error", error: e.message, trace: e.stack\n', report("e") + "\n"),
    ):
        if script.count(old) != 1:
            raise SystemExit("patches.py doesn't fit this MiniStack: the Node worker")
        script = script.replace(old, new)
    runtime._NODEJS_WORKER_SCRIPT = script

    original = functions._execute_function_warm

    @functools.wraps(original)
    def execute(func, event, request_id):
        result = original(func, event, request_id)
        body = result.get("body")
        message = body.get("errorMessage") if result.get("error") and isinstance(body, dict) else None
        if isinstance(message, str) and message.startswith(ERROR_MARK):
            result["body"] = json.loads(message[len(ERROR_MARK):])
        return result

    functions._execute_function_warm = execute


def retry_asynchronous_invocations() -> None:
    """EventBridge's targets are invoked once and a failure is forgotten; the settings of an alias for asynchronous
    invocations are kept and not used. On AWS both retry and end at the destination for failures. A function that is
    invoked through an alias also sees the alias in its own ARN."""
    record = "lambda_svc._execution_record_for_config(func, config)"
    aliased = "lambda_svc._execution_record_for_config(func, {**config, 'FunctionArn': %s})"
    rewrite(
        eventbridge, "_dispatch_to_lambda",
        (record, aliased % "arn"),
        (
            "    threading.Thread(\n"
            "        target=lambda_svc._execute_function_with_config_scope, args=(exec_record, event), daemon=True\n"
            "    ).start()\n",
            "    lambda_svc.invoke_async_with_retry(exec_record, event)\n",
        ),
    )
    by_arn = "func_ref if str(func_ref).startswith('arn:') else config['FunctionArn']"
    rewrite(machines, "_call_lambda", (record, aliased % by_arn))

    def settings_for(func):
        config = func.get("config") or func
        qualifier = (config["FunctionArn"].split(":") + [""])[7]
        base = functions._functions.get(config["FunctionName"]) or {}
        return (base.get("event_invoke_configs") or {}).get(qualifier)

    functions._rekey_settings_for = settings_for
    rewrite(functions, "invoke_async_with_retry", (
        "        eic = (\n            func.get(\"event_invoke_config\")\n",
        "        eic = (\n            _rekey_settings_for(func)\n            or func.get(\"event_invoke_config\")\n",
    ))


def report_failed_stream_records() -> None:
    """A DynamoDB stream's mapping ignores ReportBatchItemFailures, MaximumRetryAttempts (and with it the destination
    for failures) and BisectBatchOnFunctionError."""
    attempts: dict[tuple[str, str], int] = {}
    limits: dict[str, int] = {}

    def sequence(record) -> str:
        return record["dynamodb"]["SequenceNumber"]

    def outcome(esm, fetched, batch, result):
        """How many of the fetched records are done with, the records that are not, and the result for those."""
        body = result.get("body")
        if result.get("error") or "ReportBatchItemFailures" not in esm.get("FunctionResponseTypes", []):
            return 0, batch, result
        failures = body.get("batchItemFailures") if isinstance(body, dict) else None
        if not failures:
            limits.pop(esm["UUID"], None)
            return 0, batch, result
        failed = {failure.get("itemIdentifier") for failure in failures}
        # Everything from the lowest failure on is tried again; an unknown identifier fails the whole batch.
        first = next((i for i, record in enumerate(batch) if sequence(record) in failed), 0)
        done = [sequence(record) for record in fetched].index(sequence(batch[first]))
        error = {"errorType": "BatchItemFailures", "errorMessage": f"{len(failures)} records failed"}
        return done, batch[first:], {"error": True, "body": error}

    def exhausted(esm, batch, result) -> bool:
        """Counts a failed attempt at these records; tells whether it was the last one. One that was throttled is none."""
        if result.get("throttle"):
            return False
        if esm.get("BisectBatchOnFunctionError") and len(batch) > 1:
            limits[esm["UUID"]] = (len(batch) + 1) // 2
            return False
        limits.pop(esm["UUID"], None)
        most = esm.get("MaximumRetryAttempts")
        key = (esm["UUID"], sequence(batch[0]))
        attempts[key] = attempts.get(key, 0) + 1
        if most is None or int(most) < 0 or attempts[key] <= int(most):
            return False
        del attempts[key]
        return True

    functions._rekey_outcome = outcome
    functions._rekey_exhausted = exhausted
    functions._rekey_limits = limits
    rewrite(
        functions, "_poll_dynamodb_streams",
        (
            "            batch_size = esm.get(\"BatchSize\", 100)\n",
            "            batch_size = min(esm.get(\"BatchSize\", 100), _rekey_limits.get(esm_id, 10_000))\n",
        ),
        (
            "            batch = _apply_filter_criteria(batch, esm)\n",
            "            fetched = batch\n            batch = _apply_filter_criteria(batch, esm)\n",
        ),
        (
            "            result = _execute_function(func_rec, event)\n",
            "            result = _execute_function(func_rec, event)\n"
            "            done, batch, result = _rekey_outcome(esm, fetched, batch, result)\n"
            "            pos, raw_len = pos + done, raw_len - done\n"
            "            with _dynamodb_stream_positions_lock:\n"
            "                _dynamodb_stream_positions[esm_id] = pos\n",
        ),
        (
            "                # Position doesn't advance on failure, so the next pass\n",
            "                if _rekey_exhausted(esm, batch, result):\n"
            "                    _send_ddb_stream_failure_record(\n"
            "                        esm, func_rec, batch, source_arn, result, \"RetryAttemptsExhausted\")\n"
            "                    with _dynamodb_stream_positions_lock:\n"
            "                        _dynamodb_stream_positions[esm_id] = pos + raw_len\n"
            "                    processed_any = True\n"
            "                    continue\n"
            "                # Position doesn't advance on failure, so the next pass\n",
        ),
    )


def reserve_for_every_version() -> None:
    """Reserved concurrency is kept with the function and looked for with the version that an alias means: a function that was
    stopped (none reserved) would go on for everybody who calls it through its alias."""
    original = functions._reserved_concurrency

    def reserved_concurrency(func, config):
        return original(functions._functions.get(config.get("FunctionName")) or func, config)

    functions._reserved_concurrency = reserved_concurrency


def start_a_few_environments_at_once() -> None:
    """Each of forty calls at once starts a process of Node, and on two cores none of them answers before its caller has given
    up. A call takes the environment that gets free first, or its turn to start another."""
    at_once = os.cpu_count() or 2
    turn = threading.Condition()
    starting: set[runtime.Worker] = set()
    acquire, release, spawn = runtime.acquire_worker, runtime.release_worker, runtime.Worker._spawn

    def has_started(worker) -> None:
        with turn:
            starting.discard(worker)
            turn.notify_all()

    @functools.wraps(acquire)
    def acquire_in_turn(name, config, code, qualifier="$LATEST", max_concurrency=None):
        key = runtime._worker_key(name, config, qualifier)
        with turn:
            turn.wait_for(
                lambda: len(starting) < at_once
                or any(not worker.in_use for worker in runtime._workers.get(key, [])),
                timeout=30,
            )
            worker, how = acquire(name, config, code, qualifier, max_concurrency)
            if how == "spawn":
                starting.add(worker)
            return worker, how

    @functools.wraps(release)
    def release_to_the_next(worker):
        release(worker)
        has_started(worker)

    @functools.wraps(spawn)
    def spawn_in_turn(worker):
        try:
            spawn(worker)
        finally:
            has_started(worker)

    functions.acquire_worker, functions.release_worker = acquire_in_turn, release_to_the_next
    runtime.Worker._spawn = spawn_in_turn
