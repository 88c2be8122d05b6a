/** The clocks and timers that a source lives by; tests bring their own. */
export interface Time {
  /** The wall clock in milliseconds since 1970. It may jump. */
  now(): number;
  /** Milliseconds since some instant; never jumps, may stand still while a sandbox is frozen. */
  monotonic(): number;
  /** Calls `run` after `ms`. `holdsProcess` keeps the process alive until then. Returns what cancels it. */
  after(ms: number, run: () => void, holdsProcess?: boolean): () => void;
  /** From 0 to below 1: spreads what many agents would do at the same instant. */
  random(): number;
}

/** The clocks and timers of this process. */
export const systemTime: Time = {
  now: Date.now,
  monotonic: () => performance.now(),
  after: (ms, run, holdsProcess = false) => {
    const timer = setTimeout(run, ms);
    if (!holdsProcess) timer.unref();
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

/** The longest wait that a timer of JavaScript can do. */
export const LONGEST_MS = 2_147_483_647;

/** The wait before the next try after `failures` in a row: doubles up to `mostMs`, half of it by chance. */
export function backoffMs(failures: number, mostMs: number, random: number): number {
  const whole = Math.min(mostMs, 1000 * 2 ** Math.min(failures - 1, 20));
  return whole * (0.5 + random / 2);
}

/**
 * Runs `work` for at most `ms`, or until `controller` is aborted; then it is no longer waited for, whether or not it
 * heeds its signal.
 */
export function within<T>(
  time: Time,
  limit: {
    readonly ms: number;
    readonly controller: AbortController;
    readonly late: () => Error;
    readonly holdsProcess?: boolean;
  },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { ms, controller, late, holdsProcess } = limit;
  const { signal } = controller;
  return new Promise<T>((resolve, reject) => {
    const cancel = time.after(ms, () => controller.abort(late()), holdsProcess);
    const end = (settle: () => void): void => {
      cancel();
      settle();
    };
    signal.addEventListener('abort', () => end(() => reject(signal.reason as Error)), { once: true });
    work(signal).then(
      (result) => end(() => resolve(result)),
      (error: unknown) => end(() => reject(error)),
    );
  });
}
