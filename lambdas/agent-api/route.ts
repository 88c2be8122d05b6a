import type { AgentDeps } from '../../shared/engine/agents/deps.ts';
import type { Call } from '../http/request.ts';

/** The answer of a route. `cacheable`: the same state has the same tag, and is not sent again. */
export interface Done<T> {
  readonly status: 200 | 201;
  readonly body: T;
  readonly cacheable?: true;
}

/** One route of the agent API: answers a call, or throws a RekeyError. */
export type Route = (call: Call, deps: AgentDeps) => Promise<Done<unknown>>;

/** Where the form of requests is described. */
export const FORM = 'docs/agents.md and docs/agent-api.openapi.json have the form of every request';
