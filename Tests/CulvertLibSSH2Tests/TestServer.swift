import Foundation

struct Failed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A program that runs beside the test. (Foundation's `Process` takes the end of one for the end of another that
/// inherited its descriptors, and starts programs with signals blocked.)
final class Child {
    private let pid: pid_t
    private(set) var status: Int32?

    /// Standard output and error go to the file `log`.
    init(_ program: String, _ arguments: [String], log: String, environment: [String: String] = [:]) throws {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = ([program] + arguments).map { strdup($0) } + [nil]
        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let variables = merged.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, program, &actions, &attributes, words, variables)
        guard result == 0 else { throw Failed("\(program): \(result)") }
        pid = started
    }

    var identifier: pid_t { pid }

    func kill() {
        guard status == nil else { return }
        _ = Foundation.kill(pid, SIGKILL)
        wait()
    }

    func wait() {
        var status: Int32 = 0
        while self.status == nil {
            if waitpid(pid, &status, 0) == pid || errno != EINTR { self.status = status }
        }
    }
}

/// Runs a program to its end; throws with what it printed when it fails.
func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    let directory = try TestServer.makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let child = try Child(program, arguments, log: directory + "/log", environment: environment)
    child.wait()
    guard child.status == 0 else {
        throw Failed("\(program): " + ((try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""))
    }
}

/// Asks until the condition holds; throws after ten seconds.
func waitUntil(_ what: String, _ condition: () -> Bool) throws {
    let deadline = Date().addingTimeInterval(10)
    while !condition() {
        guard Date() < deadline else { throw Failed("waited in vain until \(what)") }
        usleep(5_000)
    }
}

/// An `sshd` of our own: its keys, its configuration, its port, gone with its directory.
final class TestServer {
    let directory: String
    let port: UInt16
    private let process: Child
    let user = NSUserName()

    /// One set of throw-away keys for the whole run: making an RSA key takes a second.
    private static let keys: Result<String, any Error> = Result {
        let directory = try makeDirectory()
        atexit { if case .success(let path) = TestServer.keys { try? FileManager.default.removeItem(atPath: path) } }
        for (name, arguments) in [
            ("host_ed25519", ["-t", "ed25519", "-N", ""]), ("host_ecdsa", ["-t", "ecdsa", "-N", ""]),
            ("host_rsa", ["-t", "rsa", "-b", "2048", "-N", ""]), ("id_ed25519", ["-t", "ed25519", "-N", ""]),
            ("id_ecdsa", ["-t", "ecdsa", "-b", "384", "-N", ""]),
            ("id_ecdsa_pem", ["-t", "ecdsa", "-m", "PEM", "-N", ""]),
            ("id_rsa", ["-t", "rsa", "-b", "2048", "-N", ""]),
            ("id_rsa_pkcs8", ["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", ""]),
            ("id_encrypted", ["-t", "ed25519", "-a", "4", "-N", "open sesame"]),
            ("id_stranger", ["-t", "ed25519", "-N", ""]),
        ] {
            try run("/usr/bin/ssh-keygen", ["-q", "-f", "\(directory)/\(name)"] + arguments)
        }
        return directory
    }

    static func keyPath(_ name: String) throws -> String { try keys.get() + "/" + name }

    static func makeDirectory() throws -> String {
        var template = Array("/tmp/culvert-libssh2-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failed("mkdtemp: \(errno)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    init(_ configuration: String = "") throws {
        directory = try Self.makeDirectory()
        port = try freePort()
        let keys = try Self.keys.get()
        var authorized = ""
        for name in ["id_ed25519", "id_ecdsa", "id_ecdsa_pem", "id_rsa", "id_rsa_pkcs8", "id_encrypted"] {
            authorized += try String(contentsOfFile: "\(keys)/\(name).pub", encoding: .utf8)
        }
        try authorized.write(toFile: "\(directory)/authorized_keys", atomically: true, encoding: .utf8)
        // The first mention of a keyword counts, so what a test asks for comes first.
        try """
        \(configuration)
        ListenAddress 127.0.0.1:\(port)
        HostKey \(keys)/host_ed25519
        HostKey \(keys)/host_ecdsa
        HostKey \(keys)/host_rsa
        AuthorizedKeysFile \(directory)/authorized_keys
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin yes
        MaxStartups 100:100:100
        LogLevel VERBOSE
        """.write(toFile: "\(directory)/sshd_config", atomically: true, encoding: .utf8)
        process = try Child("/usr/sbin/sshd", ["-D", "-e", "-f", "\(directory)/sshd_config"], log: directory + "/log")
        let port = port
        try waitUntil("sshd listens") {
            guard let socket = try? Socket.connect(port) else { return false }
            socket.close()
            return true
        }
    }

    var logged: String { (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "" }

    /// The listener and every process that serves a connection of it.
    func kill() {
        for pid in children(of: process.identifier) { _ = Foundation.kill(pid, SIGKILL) }
        process.kill()
    }

    private func children(of parent: pid_t) -> [pid_t] {
        let path = "/proc/\(parent)/task/\(parent)/children"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        let direct = text.split(separator: " ").compactMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        return direct.flatMap { children(of: $0) + [$0] }
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A loopback TCP socket that may block; its owner closes it.
struct Socket: Sendable {
    let descriptor: Int32

    static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    static func make() throws -> Socket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failed("socket: \(errno)") }
        return Socket(descriptor: descriptor)
    }

    static func connect(_ port: UInt16) throws -> Socket {
        let made = try make()
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(made.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            made.close()
            throw Failed("connect: \(errno)")
        }
        return made
    }

    static func listen() throws -> (Socket, UInt16) {
        let made = try make()
        var bound = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &bound) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(made.descriptor, address, length) == 0 && Foundation.listen(made.descriptor, 512) == 0
                    && getsockname(made.descriptor, address, &length) == 0
            }
        }
        guard result else { throw Failed("listen: \(errno)") }
        return (made, UInt16(bigEndian: bound.sin_port))
    }

    func accept() -> Socket? {
        let got = Foundation.accept(descriptor, nil, nil)
        return got >= 0 ? Socket(descriptor: got) : nil
    }

    func read(_ maximum: Int = 65536) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: maximum) { buffer, count in
            count = max(0, Foundation.read(descriptor, buffer.baseAddress, maximum))
        }
        return bytes.isEmpty ? nil : bytes
    }

    @discardableResult func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    func endWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }
    func close() { _ = Foundation.close(descriptor) }

    /// Close with a reset instead of an end.
    func reset() {
        var option = Foundation.linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<Foundation.linger>.size))
        close()
    }
}

func freePort() throws -> UInt16 {
    let (socket, port) = try Socket.listen()
    socket.close()
    return port
}

/// Listens on a free port and gives every connection to a thread of its own.
final class Service: Sendable {
    let port: UInt16
    private let listener: Socket

    init(_ serve: @escaping @Sendable (Socket) -> Void) throws {
        let (listener, port) = try Socket.listen()
        self.listener = listener
        self.port = port
        Thread.detachNewThread {
            while let connection = listener.accept() {
                Thread.detachNewThread {
                    serve(connection)
                    connection.close()
                }
            }
        }
    }

    /// Sends back what comes, then ends its side.
    static func echo() throws -> Service {
        try Service { connection in
            while let bytes = connection.read(), connection.write(bytes) {}
            connection.endWriting()
        }
    }

    deinit {
        _ = shutdown(listener.descriptor, Int32(SHUT_RDWR))
        listener.close()
    }
}
