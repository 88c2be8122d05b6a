import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../../infra/machines/states.ts';
import type { Item } from '../../shared/adapters/ledger-items.ts';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import type { EmergencyInput } from '../../shared/ports/workflow.ts';

/** Moments at which a ledger was recorded whole, and at which the CLI was run. */
export const MOMENTS = ['at rest', 'window open'] as const;
export type Moment = (typeof MOMENTS)[number];

/** `ledger.json`: items as a version stores them. */
export interface RecordedLedger {
  /** Everything about one credential. */
  readonly tables: Readonly<Record<Moment, readonly Item[]>>;
  /** The first item of each state that a run went through, by its description. */
  readonly states: Readonly<Record<string, Item>>;
}

/** `machines.json`: what an execution of a version goes by, and what it is started with. */
export interface RecordedMachines {
  readonly lifecycle: Machine;
  readonly emergency: Machine;
  readonly emergencyInput: EmergencyInput;
}

/** A request as a CLI sent it. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface ApiExchange {
  /** The command line. */
  readonly command: string;
  readonly request: ApiRequest;
  readonly status: number;
  /** Name of the schema that the CLI reads the answer with. */
  readonly schema: string;
  readonly answer: unknown;
}

/** `api.json`: what a version's CLI asked and was answered, and the JSON Schema of each answer. */
export interface RecordedApi {
  readonly exchanges: Readonly<Record<Moment, readonly ApiExchange[]>>;
  readonly schemas: Readonly<Record<string, object>>;
}

/** An event as EventBridge hands it on. */
export interface BusEvent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** `events.json`: one event of each type with the record that it comes from, and the schema that was published. */
export interface RecordedEvents {
  readonly events: readonly { readonly record?: AuditRecord; readonly event: BusEvent }[];
  readonly schema: object;
}

/** What one version stored, sent and answered. */
export interface Recorded {
  readonly ledger: RecordedLedger;
  readonly machines: RecordedMachines;
  readonly api: RecordedApi;
  readonly events: RecordedEvents;
}

const folder = import.meta.dirname;

/** The versions that were recorded: this one has to work beside each of them. */
export const VERSIONS: readonly string[] = readdirSync(folder).filter((name) => /^\d+\.\d+\.\d+$/.test(name));

/** Path of a file of a version's recording. */
export function recordedFile(version: string, kind: keyof Recorded): string {
  return join(folder, version, `${kind}.json`);
}

/** What was recorded of a version. */
export function readRecorded(version: string): Recorded {
  const read = (kind: keyof Recorded): unknown =>
    JSON.parse(readFileSync(recordedFile(version, kind), 'utf8'));
  return {
    ledger: read('ledger') as RecordedLedger,
    machines: read('machines') as RecordedMachines,
    api: read('api') as RecordedApi,
    events: read('events') as RecordedEvents,
  };
}
