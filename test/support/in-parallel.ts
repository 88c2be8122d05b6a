/** Runs `cases` a few at a time. */
export async function inParallel<T>(
  cases: readonly T[],
  run: (each: T) => Promise<void>,
  atOnce = 3,
): Promise<void> {
  const left = [...cases];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let each = left.shift(); each !== undefined; each = left.shift()) await run(each);
    }),
  );
}
