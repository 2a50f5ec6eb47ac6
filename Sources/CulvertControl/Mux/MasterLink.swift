internal import CulvertIO
public import CulvertRelay
internal import CulvertSSH

/// The link to a destination that a running master has (ControlPath): the master is asked for forwards between sockets in a
/// private directory and targets at the server, as `ssh -O forward` asks for them, and the link's worker sees a server.
///
/// OpenSSH's masters have two other ways. MUX_C_PROXY ends them: a channel that the server refused, or has not answered, is
/// closed when its client goes as if it had been opened ("no remote_id"; 9.2 to 10.5), and every session of the user's goes
/// with the master. A stdio forward (`ssh -W`) ends what goes up when what comes down has ended.
public enum MasterLink {
    /// The worker's side of each link that there is.
    private static let links = Monitor<[ObjectIdentifier: ControlStream]>([:])
    /// What the last words to a master may take.
    private static let patience = Tick.Span.seconds(1)

    /// Ends all links, and waits, not for long, until the masters were told: what they listen on for this process they would
    /// for as long as they live. For the end of the process.
    public static func endAll() {
        let deadline = Tick.current() + patience
        links.wait { links -> Monitor<[ObjectIdentifier: ControlStream]>.Step<Void> in
            for link in links.values { SocketOption.cut(link.descriptor) }
            return links.isEmpty || deadline <= .current() ? .done(()) : .again(by: deadline)
        }
    }

    /// nil: no master is there.
    public static func borrow(at path: String, journal: Journal) throws(BorrowFailure) -> BorrowedLink? {
        guard let found = try MasterSocket.find(path) else { return nil }
        do throws(IOError) {
            let directory = try PrivateDirectory()
            let ends = try SocketOption.pair()
            let stream = ControlStream(adopting: ends.1)
            let link = BorrowedLink(
                BlockingSocket(adopting: ends.0),
                summary: "by the running master at \(PeerText(path)), process \(found.process)")
            try begin(found, stream, directory, journal, fails: link.fails)
            return link
        } catch { throw BorrowFailure(error.description) }
    }

    private static func begin(
        _ found: MasterSocket.Found, _ stream: ControlStream, _ directory: PrivateDirectory, _ journal: Journal,
        fails: @escaping @Sendable (String) -> Void
    ) throws(IOError) {
        let name = ObjectIdentifier(stream)
        links.withLock { $0[name] = stream }
        do throws(IOError) {
            try Thread.start(name: "culvert-master") {
                do throws(IOError) {
                    let ring = try MirroredRing(capacity: MasterDesk.ringCapacity)
                    var desk = MasterDesk(found, link: stream, directory, ring, journal: journal)
                    fails(desk.run())
                } catch { fails(error.description) }
                // Behind the reason.
                SocketOption.cut(stream.descriptor)
                links.withLock { $0[name] = nil }
            }
        } catch {
            links.withLock { $0[name] = nil }
            throw error
        }
    }
}
