internal import FoundationEssentials
internal import Glibc

/// Which programs on this machine are at the other ends of connections: found with the rights of whoever asks, by the
/// kernel's tables (proc(5)).
struct LocalPrograms {
    /// "psql (pid 4711)", by the address that a connection comes from.
    private var programs: [String: String] = [:]

    /// Of the clients that these tunnels name.
    init(of tunnels: [TunnelDocument]) {
        let peers = Set(
            tunnels.flatMap(\.forwards).filter { $0.kind != "remote" }.flatMap { $0.flows ?? [] }.map(\.peer))
        guard !peers.isEmpty else { return }
        let inodes = Self.inodes(of: peers)
        guard !inodes.isEmpty else { return }
        let owners = Self.owners(of: Set(inodes.values))
        for (peer, inode) in inodes { programs[peer] = owners[inode] }
    }

    func program(of peer: String) -> String? { programs[peer] }

    /// The socket of each address, as /proc/net/tcp and tcp6 have them.
    private static func inodes(of peers: Set<String>) -> [String: String] {
        var inodes: [String: String] = [:]
        for (file, width) in [("/proc/net/tcp", 8), ("/proc/net/tcp6", 32)] {
            for line in table(file).split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ")
                guard fields.count > 9, let address = address(fields[1], width), peers.contains(address) else {
                    continue
                }
                inodes[address] = String(fields[9])
            }
        }
        return inodes
    }

    /// It comes in pages: whoever stops at a short read has the first alone.
    private static func table(_ path: String) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var (bytes, page): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 64 << 10))
        while true {
            let count = unsafe read(descriptor, &page, page.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += page[..<count]
        }
    }

    /// "0100007F:1538" is 127.0.0.1:5432: words of the machine's byte order.
    static func address(_ text: Substring, _ width: Int) -> String? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, parts[0].count == width, let port = UInt16(parts[1], radix: 16) else { return nil }
        var bytes: [UInt8] = []
        var rest = parts[0]
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            bytes += [UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8)]
            bytes += [UInt8(truncatingIfNeeded: word >> 16), UInt8(truncatingIfNeeded: word >> 24)]
            rest = rest.dropFirst(8)
        }
        if width == 8 || bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
            return bytes.suffix(4).map(String.init).joined(separator: ".") + ":\(port)"
        }
        // Only loopback is looked for in the other family.
        return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 ? "[::1]:\(port)" : nil
    }

    /// Of processes that this user may look into.
    private static func owners(of inodes: Set<String>) -> [String: String] {
        var owners: [String: String] = [:]
        let files = FileManager.default
        for process in (try? files.contentsOfDirectory(atPath: "/proc")) ?? [] where process.allSatisfy(\.isNumber) {
            for descriptor in (try? files.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? [] {
                guard let inode = socket("/proc/\(process)/fd/\(descriptor)"), inodes.contains(inode) else { continue }
                let name = (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) ?? ""
                owners[inode] = "\(name.split(separator: "\n").first ?? "?") (pid \(process))"
            }
            if owners.count == inodes.count { break }
        }
        return owners
    }

    /// The inode of the socket that a descriptor is; nil: it is something else. The link leads nowhere.
    private static func socket(_ path: String) -> String? {
        var text = [CChar](repeating: 0, count: 64)
        let count = unsafe readlink(path, &text, text.count)
        let name = String(decoding: text.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard name.hasPrefix("socket:["), name.hasSuffix("]") else { return nil }
        return String(name.dropFirst(8).dropLast())
    }
}
