import Foundation

struct NativeFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A program of the system that runs beside a test, its output in a file. (Foundation's `Process` takes the end of one
/// for the end of another that inherited its descriptors.)
final class NativeChild {
    private let pid: pid_t
    private(set) var status: Int32?

    init(_ program: String, _ arguments: [String], log: String) throws {
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
        let variables = ProcessInfo.processInfo.environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, program, &actions, &attributes, words, variables)
        guard result == 0 else { throw NativeFailure("\(program): \(result)") }
        pid = started
    }

    /// Ends it and every program that it started.
    func kill() {
        for child in Self.children(of: pid) { _ = Foundation.kill(child, SIGKILL) }
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

    private static func children(of parent: pid_t) -> [pid_t] {
        let path = "/proc/\(parent)/task/\(parent)/children"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        let direct = text.split(separator: " ").compactMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        return direct.flatMap { children(of: $0) + [$0] }
    }
}

/// An `sshd` of our own, unprivileged: its keys, its configuration, its port, gone with its directory.
final class NativeServer {
    let directory: String
    let port: UInt16
    private let process: NativeChild

    /// Throw-away keys for the whole run: making an RSA key takes a second.
    private static let keys: Result<String, any Error> = Result {
        let directory = try makeDirectory()
        atexit { if case .success(let path) = NativeServer.keys { try? FileManager.default.removeItem(atPath: path) } }
        for (name, arguments) in [
            ("host_ed25519", ["-t", "ed25519"]), ("host_ecdsa256", ["-t", "ecdsa", "-b", "256"]),
            ("host_ecdsa384", ["-t", "ecdsa", "-b", "384"]), ("host_ecdsa521", ["-t", "ecdsa", "-b", "521"]),
            ("host_rsa", ["-t", "rsa", "-b", "2048"]), ("id_ed25519", ["-t", "ed25519"]),
        ] {
            let child = try NativeChild(
                "/usr/bin/ssh-keygen", ["-q", "-N", "", "-f", "\(directory)/\(name)"] + arguments,
                log: directory + "/log")
            child.wait()
            guard child.status == 0 else { throw NativeFailure("ssh-keygen \(name)") }
        }
        return directory
    }

    static func keyText(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: try keys.get() + "/" + name)))
    }

    static func makeDirectory() throws -> String {
        var template = Array("/tmp/culvert-native-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw NativeFailure("mkdtemp: \(errno)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    init(_ configuration: String = "", hostKey: String = "host_ed25519") throws {
        directory = try Self.makeDirectory()
        let (listener, port) = try NativeSocket.listen()
        listener.close()
        self.port = port
        let keys = try Self.keys.get()
        // The first mention of a keyword counts, so what a test asks for comes first.
        try """
        \(configuration)
        ListenAddress 127.0.0.1:\(port)
        HostKey \(keys)/\(hostKey)
        AuthorizedKeysFile \(keys)/id_ed25519.pub
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin yes
        MaxStartups 100:100:100
        LogLevel VERBOSE
        """.write(toFile: "\(directory)/sshd_config", atomically: true, encoding: .utf8)
        process = try NativeChild(
            "/usr/sbin/sshd", ["-D", "-e", "-f", "\(directory)/sshd_config"], log: directory + "/log")
        let deadline = Date().addingTimeInterval(20)
        while true {
            if let socket = try? NativeSocket.connect(port) {
                socket.close()
                return
            }
            guard Date() < deadline else { throw NativeFailure("sshd does not listen: \(logged)") }
            usleep(5_000)
        }
    }

    var logged: String { (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "" }

    deinit {
        process.kill()
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A loopback TCP socket; its owner closes it.
struct NativeSocket: Sendable {
    let descriptor: Int32

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func make() throws -> NativeSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw NativeFailure("socket: \(errno)") }
        return NativeSocket(descriptor: descriptor)
    }

    static func connect(_ port: UInt16) throws -> NativeSocket {
        let made = try make()
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(made.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            made.close()
            throw NativeFailure("connect: \(errno)")
        }
        return made
    }

    static func listen() throws -> (NativeSocket, UInt16) {
        let made = try make()
        var bound = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &bound) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(made.descriptor, address, length) == 0 && Foundation.listen(made.descriptor, 512) == 0
                    && getsockname(made.descriptor, address, &length) == 0
            }
        }
        guard result else { throw NativeFailure("listen: \(errno)") }
        return (made, UInt16(bigEndian: bound.sin_port))
    }

    func accept() -> NativeSocket? {
        let descriptor = Foundation.accept(descriptor, nil, nil)
        return descriptor < 0 ? nil : NativeSocket(descriptor: descriptor)
    }

    func close() { _ = Foundation.close(descriptor) }
}

/// Listens on a free port and sends back what comes on every connection, then ends its side.
final class NativeEcho: Sendable {
    let port: UInt16
    private let listener: NativeSocket

    init() throws {
        let (listener, port) = try NativeSocket.listen()
        self.listener = listener
        self.port = port
        Thread.detachNewThread {
            while let connection = listener.accept() {
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 1 << 16)
                    serving: while true {
                        let count = recv(connection.descriptor, &buffer, buffer.count, 0)
                        guard count > 0 else { break }
                        var sent = 0
                        while sent < count {
                            let done = buffer[sent..<count].withUnsafeBytes {
                                send(connection.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                            }
                            guard done > 0 else { break serving }
                            sent += done
                        }
                    }
                    connection.close()
                }
            }
        }
    }

    deinit {
        _ = shutdown(listener.descriptor, Int32(SHUT_RDWR))
        listener.close()
    }
}
