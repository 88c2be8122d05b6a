import { afterAll, beforeAll, vi } from 'vitest';
import * as exchange from '../../shared/http/exchange.ts';

let asking = 0;

/**
 * Called in a `describe`: providers that wait in its tests don't, the clocks go on by as much. Timeouts of requests stay as
 * long as they are.
 */
export function takeNoTimeToWait(): void {
  beforeAll(() => {
    if (asking++ > 0) return;
    vi.useFakeTimers({ toFake: ['Date', 'performance'], shouldAdvanceTime: true });
    vi.spyOn(exchange, 'pause').mockImplementation(async (ms) => {
      vi.advanceTimersByTime(ms);
      // As after a real wait, all that is due goes first.
      await new Promise((resolve) => setImmediate(resolve));
    });
  });
  afterAll(() => {
    if (--asking > 0) return;
    vi.mocked(exchange.pause).mockRestore();
    vi.useRealTimers();
  });
}
