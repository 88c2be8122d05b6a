const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const actions = new Set<() => Promise<void>>();
const limitMs = 10_000;
let ending = false;

/** Runs `action` when the process is told to end, before it ends. Returns a function that takes it back. */
export function onTermination(action: () => Promise<void>): () => void {
  if (actions.size === 0) for (const signal of signals) process.on(signal, end);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0 && !ending) for (const signal of signals) process.off(signal, end);
  };
}

function end(signal: NodeJS.Signals): void {
  if (ending) return;
  ending = true;
  const finish = (): void => {
    for (const each of signals) process.removeAllListeners(each);
    // Ends as the signal would have ended it, so that the caller sees why.
    process.kill(process.pid, signal);
  };
  setTimeout(finish, limitMs).unref();
  void Promise.allSettled([...actions].map((action) => action())).then(finish);
}
