"""Corrections of MiniStack 1.5.33, each one a defect that would make Rekey's functions and machines behave otherwise
than on AWS. MiniStack is pinned by hash, so its source is known: a patch that doesn't find its place fails the start.
local/README.md lists them for people. When the pin moves, drop what was mended and see what no longer fits.
"""

import patch_delivery
import patch_functions
import patch_machines
import patch_services


def apply() -> None:
    """In this order: what rewrites a function's source comes before what wraps the function."""
    for patch in (
        patch_services.bind_behind_the_gateway,
        patch_services.leave_rotation_to_the_gateway,
        patch_services.name_the_label_of_a_request,
        patch_services.let_the_gateway_emit_service_events,
        patch_machines.send_service_integrations_through_the_gateway,
        patch_functions.name_errors_of_node_functions,
        patch_machines.evaluate_jsonata_timeouts,
        patch_machines.idempotent_start_of_an_execution,
        patch_functions.retry_asynchronous_invocations,
        patch_machines.fail_callback_task_when_its_function_fails,
        patch_machines.name_the_machine_behind_a_task_token,
        patch_machines.distributed_maps_in_jsonata,
        patch_machines.let_calls_of_machines_take_turns,
        patch_functions.report_failed_stream_records,
        patch_functions.reserve_for_every_version,
        patch_functions.start_a_few_environments_at_once,
        patch_delivery.deliver_as_documented,
        patch_services.match_rules_for_management_events,
        patch_services.tell_policies_what_a_key_is_used_for,
        patch_services.name_the_rule_of_a_target,
        patch_services.lock_objects_of_deployed_buckets,
    ):
        patch()
