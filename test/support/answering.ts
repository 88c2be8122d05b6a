import { atRest } from '../fakes/fake-time.ts';

/** A `fetch` to servers that live by real time, and what waits for all of their answers. */
export interface Answering {
  readonly fetch: typeof globalThis.fetch;
  readonly answered: () => Promise<void>;
}

/** Calls servers for somebody whose time a test moves: it waits for what they answer, however long that takes them. */
export function answering(real: typeof globalThis.fetch = globalThis.fetch): Answering {
  let asked = 0;
  return {
    fetch: async (...call) => {
      asked++;
      try {
        const { status, headers, body } = await real(...call);
        const whole = body === null ? null : await new Response(body).arrayBuffer();
        return new Response(whole, { status, headers });
      } finally {
        asked--;
      }
    },
    answered: async () => {
      for (let isBusy = true; isBusy;) {
        isBusy = asked > 0;
        await atRest();
        isBusy ||= asked > 0;
      }
    },
  };
}
