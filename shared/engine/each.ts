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
