import Foundation

struct Failed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a program to its end and returns what it printed; throws when it fails.
@discardableResult
func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else { throw Failed("\(program) \(arguments): \(text)") }
    return text
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
    let process = Process()
    let user = NSUserName()
    private let log: FileHandle

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
        _ = FileManager.default.createFile(atPath: "\(directory)/log", contents: nil)
        log = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(directory)/log"))
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/sshd")
        process.arguments = ["-D", "-e", "-f", "\(directory)/sshd_config"]
        process.standardError = log
        process.standardOutput = log
        process.standardInput = FileHandle.nullDevice
        try process.run()
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
        for pid in children(of: process.processIdentifier) { _ = Foundation.kill(pid, SIGKILL) }
        _ = Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private func children(of parent: pid_t) -> [pid_t] {
        let path = "/proc/\(parent)/task/\(parent)/children"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        let direct = text.split(separator: " ").compactMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        return direct.flatMap { children(of: $0) + [$0] }
    }

    deinit {
        if process.isRunning { kill() }
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
