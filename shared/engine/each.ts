/** The answers about `items` in their order, a few asked at once. */
export async function eachOf<T, A>(
  items: Iterable<T>,
  atOnce: number,
  ask: (item: T) => Promise<A>,
): Promise<A[]> {
  const answers: A[] = [];
  const left = [...items].entries();
  const work = async (): Promise<void> => {
    for (const [at, item] of left) answers[at] = await ask(item);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return answers;
}

/**
 * What each of these comes to, once all are over: a function that has answered stands still, and with it whatever it was at.
 * @throws what the first of them has failed with
 */
export async function allOver<T extends readonly unknown[] | []>(
  works: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
