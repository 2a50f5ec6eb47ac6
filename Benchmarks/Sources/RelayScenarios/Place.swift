internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH
internal import Glibc
internal import Scenario

/// Sockets in a directory of their own. Unix sockets: what is sent on one has arrived when the call returns, so each
/// turn of a worker finds what it is meant to find.
struct Sockets: ~Copyable {
    private let directory: String
    private var open: [Descriptor] = []

    init() {
        var name = Array("/tmp/culvert-bench.XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { giveUp("no temporary directory: \(errorText(errno))") }
        directory = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for descriptor in open { SocketOption.close(descriptor) }
        for name in ["here", "there"] { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    private func address(_ name: String) -> SocketAddress {
        guard let address = SocketAddress(path: path(name)) else { giveUp("the path of a socket is too long") }
        return address
    }

    /// Whoever takes it closes it.
    func listen(_ name: String) throws -> Descriptor { try address(name).listen() }

    mutating func keep(_ descriptor: Descriptor) -> Descriptor {
        guard descriptor >= 0 else { giveUp("no socket: \(errorText(errno))") }
        open.append(descriptor)
        return descriptor
    }

    mutating func connect(_ name: String) throws -> Descriptor {
        keep(try BlockingSocket.connect(to: address(name), from: nil, deadline: .current() + .seconds(5)).release())
    }
}

func sendAll(_ descriptor: Descriptor, _ bytes: UnsafeRawBufferPointer) {
    guard Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) == bytes.count
    else { giveUp("a socket does not take \(bytes.count) bytes: \(errorText(errno))") }
}

/// Bytes received, 0 when none are there.
func receive(_ descriptor: Descriptor, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
    guard count > 0 || (count < 0 && errno == EAGAIN) else { giveUp("a socket was closed: \(errorText(errno))") }
    return max(0, count)
}

/// What one worker by itself carries: one forward, from the socket `here` to the socket `there`.
func makeForward(_ sockets: borrowing Sockets) -> LocalForward {
    LocalForward(
        listen: .unix(path: sockets.path("here"), modeMask: 0o177, unlinksFirst: false),
        target: .unix(path: sockets.path("there")), text: "here")
}

func makeLimits() -> RelayLimits {
    var limits = RelayLimits()
    limits.descriptors = 1024
    return limits
}

func makeJournal() -> Journal { Journal(level: .error) { line in giveUp(line.text) } }

let memoryCeiling = 64 << 20

extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// A turn that has something to do.
    mutating func turn() {
        do throws(IOError) { try turnOnce() } catch { giveUp("a turn fails: \(error)") }
    }

    /// A turn that may have nothing to do.
    mutating func turnOrPass() {
        timers.add(driver.now, Token(.drainEnd))
        turn()
    }
}

extension PlainWorker where Driver: ~Copyable {
    /// A turn that has something to do.
    mutating func turn() {
        do throws(IOError) { try turnOnce() } catch { giveUp("a turn fails: \(error)") }
    }

    /// A turn that may have nothing to do.
    mutating func turnOrPass() {
        timers.add(driver.now, Token(.drainEnd))
        turn()
    }
}
