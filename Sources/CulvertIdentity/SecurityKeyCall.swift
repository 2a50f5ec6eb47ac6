internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

extension SecurityKeyProgram {
    /// The one that is there; nil: none is.
    var program: String? { paths.first { unsafe access($0, X_OK) == 0 } }
}

/// One call of OpenSSH's ssh-sk-helper for one signature (its sk-api.h, version 5): a request and an answer, each a length, the
/// version and the rest. The program runs for one call, and has nobody's memory but its own.
struct SecurityKeyCall {
    enum Answer {
        case signature([UInt8])
        /// The device wants its PIN, or another one than it was given.
        case needsPIN
    }

    /// Seconds: devices wait about half as long for a touch.
    static let patience = 60
    private static let version: UInt8 = 5
    private static let sign: UInt32 = 1
    /// A signature is much shorter.
    private static let longestAnswer = 64 * 1024
    /// Of its ssherr.h, negative there.
    private static let wrongPassphrase: UInt32 = 43
    private static let deviceNotFound: UInt32 = 60

    let helper: SecurityKeyProgram
    let key: HardwareKeyFile

    /// The signature blob, as an agent would give it. Blocks.
    func answer(to data: [UInt8], pin: Secret?) throws(SSHError) -> Answer {
        guard let path = helper.program else { throw Self.failure("it is not there") }
        let program = LocalProgram(path: path, arguments: [], environment: helper.environment, input: .conversation)
        let running: LocalProgram.Running
        do throws(LocalProgram.Failure) { running = try program.start() } catch {
            throw Self.failure("\(PeerText(path)): \(words(for: error.code))")
        }
        defer {
            close(running.output)
            LocalProgram.end(running.process)
        }
        var request = request(data, pin)
        defer { request.wipe() }
        let deadline = Deadline(seconds: Self.patience)
        guard Self.send(request, running.output, deadline), let answer = Self.receive(running.output, deadline) else {
            throw Self.failure(deadline.isOver ? "no answer within \(Self.patience) s" : "it ended without an answer")
        }
        return try Self.read(answer)
    }

    private func request(_ data: [UInt8], _ pin: Secret?) -> [UInt8] {
        let strings = key.fields.count + helper.provider.utf8.count + data.count + (pin?.count ?? 0)
        let length = 10 + 5 * 4 + strings + 4
        var message = WireBytes(capacity: 4 + length)
        message.uint32(UInt32(length))
        message.byte(Self.version)
        message.uint32(Self.sign)
        // Its own words go to our standard error, and there are none.
        message.byte(1)
        message.uint32(0)
        unsafe key.fields.withBytes { unsafe message.string($0) }
        message.string(helper.provider)
        message.string(data)
        // The algorithm: the only one of the key's.
        message.string("")
        message.uint32(0)
        if let pin { unsafe pin.withBytes { unsafe message.string($0) } } else { message.string("") }
        precondition(message.bytes.count == 4 + length, "the length is of what was written")
        return message.take()
    }

    private static func read(_ answer: [UInt8]) throws(SSHError) -> Answer {
        let read = try? answer.read("ssh-sk-helper's answer") { reader throws(SSHError) in
            guard try reader.byte() == version else {
                throw .malformed("ssh-sk-helper's answer", "its version is another")
            }
            let type = try reader.uint32()
            if type == 0 { return (code: try reader.uint32(), signature: [UInt8]()) }
            guard type == sign else { throw .malformed("ssh-sk-helper's answer", "it is to another question") }
            let signature = try reader.bytes()
            try reader.end()
            return (code: UInt32(0), signature: signature)
        }
        guard let read, read.code != 0 || !read.signature.isEmpty else {
            throw failure("its answer is none that version \(version) gives")
        }
        switch read.code {
        case 0: return .signature(read.signature)
        case wrongPassphrase: return .needsPIN
        case deviceNotFound: throw failure("no device that has this key is there")
        default: throw failure("error \(read.code) of OpenSSH's: was the device touched?")
        }
    }

    private static func failure(_ why: String) -> SSHError { SSHError(.local, "ssh-sk-helper: \(why)") }

    // MARK: The socket

    private static func send(_ bytes: [UInt8], _ descriptor: CInt, _ deadline: Deadline) -> Bool {
        var rest = bytes[...]
        defer { rest = [] }
        while !rest.isEmpty {
            guard deadline.wait(descriptor, for: POLLOUT) else { return false }
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.send(
                    descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Without its length.
    private static func receive(_ descriptor: CInt, _ deadline: Deadline) -> [UInt8]? {
        guard let head = receive(4, descriptor, deadline) else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard (1...longestAnswer).contains(length) else { return nil }
        return receive(length, descriptor, deadline)
    }

    private static func receive(_ length: Int, _ descriptor: CInt, _ deadline: Deadline) -> [UInt8]? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: length)
        while bytes.count < length {
            guard deadline.wait(descriptor, for: POLLIN) else { return nil }
            let wanted = length - bytes.count
            let count = unsafe piece.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, wanted, 0) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return nil }
            bytes += piece[..<count]
        }
        return bytes
    }
}
