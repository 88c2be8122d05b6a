/** Rekey's own event bus. Events are hints: whoever acts on one reads the state again. */
export interface EventPublisher {
  /** Publishes one event; `detail` never holds material. */
  publish(detailType: string, detail: object): Promise<void>;
}
