import { randomUUID } from 'node:crypto';
import type { Machine, State } from '../../infra/machines/states.ts';
import type { VirtualTime } from './virtual-time.ts';

/** One run of a machine. */
export interface Execution {
  readonly name: string;
  readonly input: object;
  readonly startedAt: number;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED';
  output?: unknown;
  error?: string;
  readonly trail: string[];
}

/** What the states of an execution see. */
interface Scope {
  readonly input: unknown;
  readonly result?: unknown;
  readonly errorOutput?: { readonly Error: string };
  readonly context: object;
}

interface Catcher {
  readonly ErrorEquals: readonly string[];
  readonly Next: string;
  readonly Output?: unknown;
  readonly IntervalSeconds?: number;
  readonly BackoffRate?: number;
  readonly MaxAttempts?: number;
  readonly MaxDelaySeconds?: number;
}

class StateFailed extends Error {
  constructor(name: string) {
    super(name);
    this.name = name;
  }
}

const MAX_STATES = 400;

/**
 * Runs the real definitions of infra/machines in this process, on virtual time: tasks (with retry, catch, callback and
 * timeout), choices, waits and inline maps, with the JSONata expressions that those definitions use and no others.
 */
export class Machines {
  readonly executions = new Map<string, Execution>();
  readonly #time: VirtualTime;
  readonly #invoke: (functionName: string, payload: object) => Promise<unknown>;
  readonly #waiting = new Map<string, (output: unknown) => void>();

  constructor(time: VirtualTime, invoke: (functionName: string, payload: object) => Promise<unknown>) {
    this.#time = time;
    this.#invoke = invoke;
  }

  /** Starts an execution; a second start under the same name is the first. */
  start(machine: Machine, name: string, input: object): void {
    if (this.executions.has(name)) return;
    const execution: Execution = { name, input, startedAt: this.#time.now(), status: 'RUNNING', trail: [] };
    this.executions.set(name, execution);
    // Its failure is its status: nobody waits for the promise.
    void this.#time.work(() => this.#execute(machine, execution)).catch(() => undefined);
  }

  /** Answers a callback; one that nobody waits for any more is passed over. */
  answer(taskToken: string, output: unknown): void {
    this.#waiting.get(taskToken)?.(output);
    this.#waiting.delete(taskToken);
  }

  get failed(): readonly Execution[] {
    return [...this.executions.values()].filter((execution) => execution.status === 'FAILED');
  }

  async #execute(machine: Machine, execution: Execution): Promise<void> {
    try {
      const context = { Execution: { Input: execution.input, Name: execution.name } };
      execution.output = await this.#run(
        machine.States,
        machine.StartAt,
        execution.input,
        context,
        execution,
      );
      execution.status = 'SUCCEEDED';
    } catch (error) {
      execution.status = 'FAILED';
      execution.error = error instanceof Error ? error.name : String(error);
    }
  }

  async #run(
    states: Readonly<Record<string, State>>,
    startAt: string,
    given: unknown,
    context: object,
    execution: Execution,
  ): Promise<unknown> {
    let name = startAt;
    let input = given;
    for (let count = 0; count < MAX_STATES; count++) {
      const state = states[name];
      if (state === undefined) throw new StateFailed(`no state ${name}`);
      execution.trail.push(name);
      const scope: Scope = { input, context };
      switch (state['Type']) {
        case 'Succeed':
          return input;
        case 'Fail':
          throw new StateFailed(String(state['Error']));
        case 'Pass':
          input = 'Output' in state ? evaluate(state['Output'], scope) : input;
          if (state['End'] === true) return input;
          name = String(state['Next']);
          break;
        case 'Wait':
          await this.#time.park(Number(evaluate(state['Seconds'], scope)) * 1000, never());
          name = String(state['Next']);
          break;
        case 'Choice': {
          const choices = state['Choices'] as readonly { Condition: string; Next: string }[];
          const taken = choices.find(({ Condition }) => evaluate(Condition, scope) === true);
          name = taken?.Next ?? String(state['Default']);
          break;
        }
        case 'Map': {
          const result = await this.#map(state, scope, execution);
          input = 'Output' in state ? evaluate(state['Output'], { ...scope, result }) : result;
          if (state['End'] === true) return input;
          name = String(state['Next']);
          break;
        }
        case 'Task': {
          const done = await this.#task(state, scope);
          input = done.output;
          name = done.next;
          break;
        }
        default:
          throw new StateFailed(`unknown type ${String(state['Type'])}`);
      }
    }
    throw new StateFailed('the machine runs in circles');
  }

  async #map(state: State, scope: Scope, execution: Execution): Promise<unknown[]> {
    const items = evaluate(state['Items'], scope) as readonly unknown[];
    const processor = state['ItemProcessor'] as {
      StartAt: string;
      States: Record<string, State>;
      ProcessorConfig?: { Mode: string };
    };
    const runs = items.map((item) => {
      const own = { ...scope.context, Map: { Item: { Value: item } } };
      const input =
        'ItemSelector' in state ? evaluate(state['ItemSelector'], { ...scope, context: own }) : item;
      // An item of a distributed map is an execution of its own.
      const context =
        processor.ProcessorConfig?.Mode === 'DISTRIBUTED'
          ? { Execution: { Input: input, Name: randomUUID() } }
          : own;
      return this.#time.work(() => this.#run(processor.States, processor.StartAt, input, context, execution));
    });
    return this.#time.aside(Promise.all(runs));
  }

  async #task(state: State, scope: Scope): Promise<{ output: unknown; next: string }> {
    const retriers = (state['Retry'] ?? []) as readonly Catcher[];
    const tried = new Map<Catcher, number>();
    for (;;) {
      try {
        const result = await this.#attempt(state, scope);
        return { output: evaluate(state['Output'], { ...scope, result }), next: String(state['Next']) };
      } catch (error) {
        const name = error instanceof Error ? error.name : 'Error';
        const retrier = retriers.find((each) => catches(each, name));
        const attempts = retrier === undefined ? 0 : (tried.get(retrier) ?? 0);
        if (retrier !== undefined && attempts < (retrier.MaxAttempts ?? 3)) {
          tried.set(retrier, attempts + 1);
          const delay = (retrier.IntervalSeconds ?? 1) * (retrier.BackoffRate ?? 2) ** attempts;
          await this.#time.park(Math.min(delay, retrier.MaxDelaySeconds ?? delay) * 1000, never());
          continue;
        }
        const catcher = ((state['Catch'] ?? []) as readonly Catcher[]).find((each) => catches(each, name));
        if (catcher === undefined) throw new StateFailed(name);
        const output = evaluate(catcher.Output, { ...scope, errorOutput: { Error: name } });
        return { output, next: catcher.Next };
      }
    }
  }

  async #attempt(state: State, scope: Scope): Promise<unknown> {
    const token = randomUUID();
    const context = { ...scope.context, Task: { Token: token } };
    const { FunctionName: placeholder, Payload: payload } = evaluate(state['Arguments'], {
      ...scope,
      context,
    }) as { FunctionName: string; Payload: object };
    const waits = String(state['Resource']).endsWith('.waitForTaskToken');
    const answer = new Promise<unknown>((resolve) => {
      if (waits) this.#waiting.set(token, resolve);
    });
    try {
      const returned = await this.#invoke(functionOf(placeholder), payload);
      // A function's answer travels as JSON: what is undefined is not there.
      if (!waits) return { Payload: returned === undefined ? null : JSON.parse(JSON.stringify(returned)) };
      const timeout = Number(evaluate(state['TimeoutSeconds'], scope)) * 1000;
      const answered = await this.#time.park(timeout, answer);
      if (answered === 'late') throw new StateFailed('States.Timeout');
      return answered;
    } finally {
      this.#waiting.delete(token);
    }
  }
}

const never = (): Promise<never> => new Promise(() => undefined);

function catches({ ErrorEquals: names }: Catcher, name: string): boolean {
  return names.includes('States.ALL') || names.includes(name);
}

/** `${beginRotation}` → `begin-rotation`. */
function functionOf(placeholder: string): string {
  return placeholder.slice(2, -1).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function partition(items: readonly unknown[], size: number): unknown[][] {
  const parts: unknown[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}

/** The value of a template, with every expression in it evaluated. */
function evaluate(template: unknown, scope: Scope): unknown {
  if (Array.isArray(template)) return template.map((each) => evaluate(each, scope));
  if (typeof template === 'object' && template !== null) {
    return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, evaluate(value, scope)]));
  }
  const expression = typeof template === 'string' ? /^\{% (.+) %\}$/.exec(template)?.[1] : undefined;
  return expression === undefined ? template : valueOf(expression, scope);
}

/** One of the few shapes of expressions that the machines use; any other fails the test that meets it. */
function valueOf(expression: string, scope: Scope): unknown {
  const path = (text: string): unknown =>
    text
      .slice('$states.'.length)
      .split('.')
      .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], scope);
  const literals = (text: string): string[] =>
    [...text.matchAll(/'([^']*)'/g)].map((match) => match[1] ?? '');

  if (/^\$states\.[\w.]+$/.test(expression)) return path(expression);
  const given = /^\(\$exists\((\$states\.[\w.]+)\) \? \1 : (?:'(\w+)'|(\$states\.[\w.]+))\)$/.exec(
    expression,
  );
  if (given?.[1] !== undefined) return path(given[1]) ?? given[2] ?? path(given[3] ?? '');
  const exists = /^\$exists\((\$states\.[\w.]+)\)$/.exec(expression)?.[1];
  if (exists !== undefined) return path(exists) !== undefined;
  const parts = /^\$partition\((\$states\.[\w.]+), (\d+)\)$/.exec(expression);
  if (parts?.[1] !== undefined) return partition(path(parts[1]) as readonly unknown[], Number(parts[2]));
  if (expression === '[$states.result.results]') {
    return (scope.result as readonly { results: unknown[] }[]).flatMap(({ results }) => results);
  }
  const count = (text: string): number =>
    /^\d+$/.test(text) ? Number(text) : ((path(text) ?? []) as readonly unknown[]).length;
  const compared = /^\$count\((\$states\.[\w.]+)\) (<|>) (?:\$count\((\$states\.[\w.]+)\)|(\d+))$/.exec(
    expression,
  );
  if (compared?.[1] !== undefined) {
    const [left, right] = [count(compared[1]), count(compared[3] ?? compared[4] ?? '')];
    return compared[2] === '<' ? left < right : left > right;
  }
  const looked = /^\$lookup\(\{(.+)\}, (.+)\)$/.exec(expression);
  if (looked?.[1] !== undefined && looked[2] !== undefined) {
    const values = literals(looked[1]);
    const at = values.indexOf(String(valueOf(looked[2], scope)));
    // Step Functions refuses an argument that is nothing.
    if (at === -1) throw new StateFailed('States.QueryEvaluationError');
    return values[at + 1];
  }
  const equal = /^(\$states\.[\w.]+) = '([^']*)'$/.exec(expression);
  if (equal?.[1] !== undefined) return path(equal[1]) === equal[2];
  const within = /^(\$states\.[\w.]+) in \[(.+)\]$/.exec(expression);
  if (within?.[1] !== undefined) return literals(within[2] ?? '').includes(String(path(within[1])));
  const atLeast = /^\$max\(\[(\d+), \$ceil\((\$states\.[\w.]+)\)\]\)$/.exec(expression);
  if (atLeast?.[2] !== undefined) return Math.max(Number(atLeast[1]), Math.ceil(Number(path(atLeast[2]))));
  const having = /^\$count\((\$states\.[\w.]+)\[(\w+) = '([^']*)'\]\) > 0$/.exec(expression);
  if (having?.[1] !== undefined && having[2] !== undefined) {
    const [, of, field, wanted] = having;
    return (path(of) as readonly Record<string, unknown>[]).some((each) => each[field] === wanted);
  }
  const others =
    /^\$count\((\$states\.[\w.]+)\[status != 'superseded' and status != \((\$states\.[\w.]+) \? '(\w+)' : '(\w+)'\)\]\) > 0$/.exec(
      expression,
    );
  if (others?.[1] !== undefined && others[2] !== undefined) {
    const wanted = path(others[2]) === true ? others[3] : others[4];
    return (path(others[1]) as readonly { status: string }[]).some(
      ({ status }) => status !== 'superseded' && status !== wanted,
    );
  }
  throw new StateFailed(`an expression that the tests don't know: ${expression}`);
}
