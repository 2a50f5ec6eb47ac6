public import CulvertIO
internal import CulvertSSH

/// A link to the destination that another process of this machine has made: the connection protocol, which nothing protects,
/// over a stream inside this process. A channel that is closed without EOF was cut. Where the stream ends the link is lost, as
/// any is.
public struct BorrowedLink: Sendable {
    /// What it is, for a person.
    let summary: String
    let stream: Parcel<BlockingSocket>
    let path = LinkPath()

    /// Takes the stream's end over.
    public init(_ stream: consuming BlockingSocket, summary: String) {
        self.stream = Parcel(stream)
        self.summary = summary
    }

    /// To be called before the stream's other end is closed: why the link is lost then.
    public var fails: @Sendable (_ reason: String) -> Void { { [path] in path.fail($0) } }
}

/// Why another process's link cannot be had, for a person.
public struct BorrowFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

extension Tunnel {
    /// The link that the process at `path` has, in place of one of our own, whose login has failed so.
    func borrowed<Engine: SSHEngine & ~Copyable>(
        at path: String, after refusal: SSHError, engine: () throws(SSHError) -> Engine
    ) throws(SSHError) -> LoggedInLink<Engine> {
        let shown = PeerText(path)
        let found: BorrowedLink?
        do throws(BorrowFailure) { found = try borrow(path) } catch {
            throw SSHError(refusal.kind, "\(refusal); the master at \(shown) is of no use: \(error)")
        }
        guard let link = found else { throw refusal }
        let ring: MirroredRing
        do throws(IOError) { ring = try MirroredRing(capacity: Login.ringCapacity) } catch {
            throw SSHError(.local, error.description)
        }
        journal.info("\(refusal): going by the running master at \(shown)")
        return LoggedInLink(
            socket: link.stream.take(), engine: try engine(), ring: ring, summary: link.summary, path: link.path,
            saysEveryEnd: true)
    }
}
