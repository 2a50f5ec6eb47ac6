internal import CLinux

/// Messages to a thread, off the data path. Any thread posts; the owner waits for `descriptor` to be readable, and
/// takes all of them at once.
public final class Mailbox<Message: Sendable>: Sendable {
    private let waiting = Guarded<[Message]>([])
    /// An eventfd: readable when messages wait.
    public let descriptor: Descriptor

    public init() throws(IOError) {
        let made = culvert_event_create()
        guard made >= 0 else { throw IOError(-made, "eventfd") }
        descriptor = made
    }

    deinit { _ = culvert_close(descriptor) }

    public func post(_ message: Message) {
        let wasEmpty = waiting.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if wasEmpty { culvert_event_signal(descriptor) }
    }

    /// Everything posted since, in order.
    public func takeAll() -> [Message] {
        // Drained first: a message posted in between signals again, and is at worst seen twice as "none".
        culvert_event_drain(descriptor)
        return waiting.withLock { messages in
            let taken = messages
            messages = []
            return taken
        }
    }
}
