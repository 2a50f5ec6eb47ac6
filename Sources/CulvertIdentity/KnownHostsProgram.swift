internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// One call of KnownHostsCommand, on a login's thread: what it writes is read as lines of known_hosts. As with ssh a program
/// that cannot be found is told and passed over, and one that fails ends the login.
struct KnownHostsProgram {
    /// What it is called for (`%I`).
    enum Invocation: String {
        /// Which types of key are to be asked for.
        case order = "ORDER"
        /// Whether the key that came is this host's.
        case hostName = "HOSTNAME"
    }

    /// Seconds: it stands between a server and a login.
    static let patience = 30
    /// Bytes of its output: some hundred thousand keys.
    static let maximumOutput = 16 << 20

    let command: KnownHostsCommand
    let invocation: Invocation
    /// The name that is looked up.
    let name: String
    /// What the server showed; nil: nothing yet.
    let key: PublicKey?

    /// What stands in place of a file's name.
    var source: String { "KnownHostsCommand-\(invocation.rawValue)" }

    /// What it wrote; nil: it cannot be run, which `notice` is told.
    func output(notice: (String) -> Void) throws(SSHError) -> [UInt8]? {
        let words = words
        guard let path = words.first, path.hasPrefix("/") else {
            notice("\(source): the program's path is not absolute: it is not run.")
            return nil
        }
        let program = LocalProgram(
            path: path, arguments: Array(words.dropFirst()), environment: command.environment, input: .nothing)
        let running: LocalProgram.Running
        do throws(LocalProgram.Failure) { running = try program.start() } catch {
            // Its lines may be such that revoke.
            guard error.code == ENOENT || error.code == ENOTDIR else {
                throw failure("\(PeerText(path)): \(CulvertIdentity.words(for: error.code))")
            }
            notice("\(source): \(PeerText(path)): \(CulvertIdentity.words(for: error.code)): it is not run.")
            return nil
        }
        defer { close(running.output) }
        let deadline = Deadline(seconds: Self.patience)
        guard let output = Self.readAll(running.output, deadline),
            let status = LocalProgram.wait(running.process, until: deadline)
        else {
            LocalProgram.end(running.process)
            throw failure("it did not end within \(Self.patience) s, or wrote more than \(Self.maximumOutput) bytes")
        }
        guard status == 0 else { throw failure("it ended with \(Self.words(for: status))") }
        return output
    }

    private var words: [String] {
        command.words.map { word in
            word.map { piece in
                switch piece {
                case .text(let text): text
                case .name: name
                case .invocation: invocation.rawValue
                case .keyType: key?.type ?? "NONE"
                case .fingerprint: key?.fingerprint ?? "NONE"
                case .key: key.map { Base64.encode($0.blob) } ?? "NONE"
                }
            }.joined()
        }
    }

    private func failure(_ why: String) -> SSHError {
        SSHError(.local, "KnownHostsCommand failed (\(invocation.rawValue)): \(why)")
    }

    private static func words(for status: CInt) -> String {
        status & 0x7f == 0 ? "status \(status >> 8 & 0xff)" : "signal \(status & 0x7f)"
    }

    /// nil: too late, or too much.
    private static func readAll(_ descriptor: CInt, _ deadline: Deadline) -> [UInt8]? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            guard deadline.wait(descriptor, for: POLLIN) else { return nil }
            let count = unsafe piece.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress!, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            if count <= 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= maximumOutput else { return nil }
        }
    }
}

extension HostKeyCheck {
    /// Adds what the command says of the host, and not of its name without a port, as with ssh.
    func addCommandLines(
        to known: inout KnownHosts, _ invocation: KnownHostsProgram.Invocation, _ key: PublicKey?
    ) throws(SSHError) {
        guard let command = server.hostKeys.knownHostsCommand else { return }
        let program = KnownHostsProgram(command: command, invocation: invocation, name: name, key: key)
        guard let output = try program.output(notice: { if memory.isNews($0) { notice($0) } }) else { return }
        known.add(output, file: program.source)
    }
}
