internal import CulvertIO
internal import CulvertSSH

/// A link that has logged in, on its way from its login thread through the control thread to its worker. Which engine
/// speaks on it is known to those two alone.
///
/// Delivered at most once. One that nobody delivers, because its tunnel has ended or the old link spoke again meanwhile,
/// closes its stream as it is dropped.
struct ReadyLink: Sendable {
    /// Engine and algorithms, for a person.
    let summary: String
    /// Where its connection goes first; nil for a ProxyCommand.
    let door: SocketAddress?
    private let handOver: @Sendable (LinkID, [ReverseID]) -> Void

    /// `worker` is the one that serves the link's place in the pool; its path's hops are there already.
    init<Engine: SSHEngine & ~Copyable>(
        _ link: consuming LoggedInLink<Engine>, door: SocketAddress? = nil, for worker: Mailbox<WorkerMessage<Engine>>
    ) {
        summary = link.summary
        self.door = door
        let parcel = Parcel(link)
        handOver = { id, reverse in worker.post(.link(parcel, id, reverse: reverse)) }
    }

    /// A link of another process's. What `handOver` holds goes with the last copy.
    init(summary: String, door: SocketAddress?, handOver: @escaping @Sendable (LinkID, [ReverseID]) -> Void) {
        self.summary = summary
        self.door = door
        self.handOver = handOver
    }

    /// Gives the link to its worker under that name, to ask for these reverse forwards.
    func deliver(as id: LinkID, reverse: [ReverseID]) { handOver(id, reverse) }
}
