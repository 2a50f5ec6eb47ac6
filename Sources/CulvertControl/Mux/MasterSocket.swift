internal import CulvertIO
internal import CulvertPlan
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// Where a running master, ssh's or culvert's, listens for clients (PROTOCOL.mux).
struct MasterSocket: Sendable {
    let path: String

    /// A master that runs.
    struct Found: Sendable {
        let socket: MasterSocket
        /// A client of it, that has greeted.
        let control: ControlStream
        let process: UInt32
    }

    /// How long a master may take to greet.
    private static let patience = Tick.Span.seconds(5)

    /// Finds the master, judges whose it is, and has it say that it runs. nil: nobody listens there.
    static func find(_ path: String) throws(BorrowFailure) -> Found? {
        guard let address = SocketAddress(path: path) else { throw BorrowFailure("its path is too long") }
        let socket = MasterSocket(path: path)
        let flaw: String?
        let control: ControlStream?
        do throws(IOError) {
            flaw = try ControlStream.flaw(at: path)
            control = flaw == nil ? try ControlStream.connect(to: address) : nil
        } catch {
            // One that has ended may leave its socket behind.
            if [ENOENT, ENOTDIR, ECONNREFUSED].contains(error.number) { return nil }
            throw BorrowFailure(error.number == EPERM ? "it is another user's" : errorText(error.number))
        }
        if let flaw { throw BorrowFailure(flaw) }
        guard let control else { throw BorrowFailure("too many wait for it") }
        let process = try greet(control)
        return Found(socket: socket, control: control, process: process)
    }

    /// Its process's number.
    private static func greet(_ control: ControlStream) throws(BorrowFailure) -> UInt32 {
        guard let duplicate = SocketOption.duplicate(control.descriptor) else {
            throw BorrowFailure("every descriptor is in use")
        }
        var line = MuxLine(BlockingSocket(adopting: duplicate))
        let deadline = Tick.current() + patience
        do throws(IOError) {
            if case .hello(MuxVersion.number)? = try line.exchange(.hello(version: MuxVersion.number), deadline),
                case .alive(0, let process)? = try line.exchange(.aliveCheck(0), deadline)
            {
                return process
            }
        } catch {
            if error.number == ETIMEDOUT { throw BorrowFailure("it does not answer") }
        }
        throw BorrowFailure("it does not greet as a master does")
    }
}

/// A directory that nobody else looks into, for sockets that a master is to connect to.
final class PrivateDirectory: Sendable {
    let path: String

    /// Bytes, of the 107 that a socket's path may have.
    private static let longestPlace = 80

    init() throws(IOError) {
        let place = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        // A socket's path is short.
        let isUsed = (1...Self.longestPlace).contains(place.utf8.count)
        var template = Array("\(isUsed ? place : "/tmp")/culvert-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw IOError(errno, "mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What is in it has gone before.
    func remove() { _ = unsafe rmdir(path) }

    deinit { remove() }
}
