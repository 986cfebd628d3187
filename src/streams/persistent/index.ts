export class Groups {
  async close(): Promise<void> {}
}
