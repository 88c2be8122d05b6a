/** A service of AWS that MiniStack lacks, played by whoever runs the stack. Its protocol is JSON. */
export interface PlayedService {
  /** The answer to an operation. */
  answer(operation: string, input: object): Promise<{ readonly status: number; readonly body: object }>;
  /** The tags of a resource: conditions of policies ask for them. */
  tagsOf(resource: string): Readonly<Record<string, string>>;
}
