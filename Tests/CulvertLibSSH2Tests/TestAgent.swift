import CulvertSSH
import Foundation
import TestSupport

/// An ssh-agent of our own, spoken to over its socket (draft-ietf-sshm-ssh-agent: 13 asks for a signature, 14 is one).
final class TestAgent {
    private let directory: String
    private let process: Child
    private var path: String { directory + "/agent" }

    init(keys: [String]) throws {
        directory = try makeDirectory()
        process = try Child("/usr/bin/ssh-agent", ["-D", "-a", directory + "/agent"], log: directory + "/log")
        let path = path
        try waitUntil("the agent listens") { FileManager.default.fileExists(atPath: path) }
        for key in keys {
            try run("/usr/bin/ssh-add", ["-q", TestKeys.path(key)], environment: ["SSH_AUTH_SOCK": path])
        }
    }

    deinit {
        process.kill()
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func publicKey(_ name: String) throws -> [UInt8] {
        let text = try String(contentsOfFile: TestKeys.path(name) + ".pub", encoding: .utf8)
        guard let data = Data(base64Encoded: String(text.split(separator: " ")[1])) else { throw Failed("no key") }
        return [UInt8](data)
    }

    func sign(_ key: [UInt8], _ data: [UInt8]) throws(SSHError) -> [UInt8] {
        func number(_ value: Int) -> [UInt8] { withUnsafeBytes(of: UInt32(value).bigEndian) { Array($0) } }
        let body = [13] + number(key.count) + key + number(data.count) + data + number(0)
        guard let answer = exchange(number(body.count) + body), answer.first == 14, answer.count > 5 else {
            throw SSHError(.local, "the agent would not sign")
        }
        return Array(answer[5...])
    }

    private func exchange(_ request: [UInt8]) -> [UInt8]? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let connection = Socket(descriptor: descriptor)
        defer { connection.close() }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0, connection.write(request) else { return nil }
        var answer: [UInt8] = []
        while let bytes = connection.read() {
            answer += bytes
            guard answer.count >= 4 else { continue }
            let length = answer[..<4].reduce(0) { $0 << 8 | Int($1) }
            if answer.count >= 4 + length { return Array(answer[4..<(4 + length)]) }
        }
        return nil
    }
}
