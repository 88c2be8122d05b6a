import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import {
  MAX_DELIVERY_BYTES,
  SIGNAL_SOURCES,
  type Delivery,
  type SignalSource,
} from '../../shared/domain/signals/signal.ts';
import type { SignalDeps } from '../../shared/engine/signals/deps.ts';
import { overBudget, receiveSignal, type SignalOutcome } from '../../shared/engine/signals/receive.ts';
import type { SourceKeys } from '../../shared/ports/signals.ts';
import { BodyTooLarge, bytesOf, headerOf, pathOf } from '../http/request.ts';
import { json, problem } from '../http/response.ts';
import { readSource } from './sources.ts';

/** What signals are received with. */
export interface SignalServices {
  readonly settings: SignalSettings;
  readonly policy: SignalPolicy;
  readonly keys: SourceKeys;
  readonly deps: SignalDeps;
}

/** An answer, with what the log tells of it. */
export interface Handled {
  readonly response: ApiResponse;
  readonly source?: SignalSource;
  readonly outcomes: readonly SignalOutcome[];
  /** Why something of it was refused, or has failed. */
  readonly error?: unknown;
}

/** Answers one delivery. Never throws: every error becomes a problem document, and none says what was matched. */
export async function answer(event: ApiEvent, services: SignalServices): Promise<Handled> {
  const source = SIGNAL_SOURCES.find((each) => pathOf(event) === `/signals/${each}`);
  const outcomes: SignalOutcome[] = [];
  try {
    if (source === undefined || event.requestContext.http.method !== 'POST') {
      throw new RekeyError('ERR_NOT_FOUND', 'there is no such route');
    }
    const { settings, keys } = services;
    const delivery = deliveryOf(event, services);
    const { signals, names, reply } = await readSource(source, delivery, settings, keys);
    const failures: unknown[] = [];
    // One after the other: of two that are about one credential the second one sees what the first has begun.
    for (const signal of signals) {
      try {
        outcomes.push(
          await receiveSignal(services.deps, {
            signal,
            actor: `signal:${source}`,
            policy: services.policy,
            ...(names === undefined ? {} : { names }),
          }),
        );
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) return notCarriedOut(source, outcomes, failures[0]);
    if (outcomes.some(({ act }) => act === 'over-budget')) return refusedForNow(source, outcomes);
    // Event Grid takes no other status for the answer to its question.
    if (reply !== undefined) return { source, outcomes, response: json(200, reply) };
    return { source, outcomes, response: json(202, { received: signals.length }) };
  } catch (error) {
    const response = problem(error, statusOf(error));
    return { ...(source === undefined ? {} : { source }), outcomes, response, error };
  }
}

/** What has failed names what was matched: that stands in the log, and its sender hears no more than the code. */
function notCarriedOut(source: SignalSource, outcomes: readonly SignalOutcome[], error: unknown): Handled {
  const told = isRekeyError(error)
    ? new RekeyError(error.code, 'not every signal of this delivery was carried out', {
        remedy: 'send it again: what was carried out is dropped then',
      })
    : error;
  return { source, outcomes, error, response: problem(told, statusOf(error)) };
}

function refusedForNow(source: SignalSource, outcomes: readonly SignalOutcome[]): Handled {
  const error = overBudget(source);
  const response = problem(error, 429);
  return {
    source,
    outcomes,
    error,
    response: { ...response, headers: { ...response.headers, 'retry-after': '900' } },
  };
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof BodyTooLarge) return 413;
  // What Rekey itself lacks is no fault of the sender's, who may try again.
  return isRekeyError(error, 'ERR_ADMIN_DENIED', 'ERR_DECLARATION') ? 503 : undefined;
}

function deliveryOf(event: ApiEvent, { deps }: SignalServices): Delivery {
  return {
    body: bytesOf(event, MAX_DELIVERY_BYTES),
    header: (name) => headerOf(event, name),
    query: event.queryStringParameters ?? {},
    now: deps.clock(),
  };
}
