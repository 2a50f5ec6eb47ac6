import Foundation

/// What /proc tells about a running process.
enum ProcFS {
    /// The processes that culvert has started anew for itself: they carry flows as it does.
    static func ownChildren(_ pid: pid_t) -> [pid_t] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        let children = tasks.flatMap { task in
            readWhole("/proc/\(pid)/task/\(task)/children").split(separator: " ").compactMap { pid_t($0) }
        }
        return children.filter { readWhole("/proc/\($0)/cmdline").contains("libssh2-child") }
    }

    /// The programs of others that run under a tunnel.
    static func programs(under pid: pid_t) -> [pid_t] {
        let own = descendants(of: pid).flatMap(ownChildren) + ownChildren(pid)
        return descendants(of: pid).filter { !own.contains($0) }
    }

    /// It has ended, and nobody has reaped it.
    static func isZombie(_ pid: pid_t) -> Bool { readWhole("/proc/\(pid)/stat").contains(") Z ") }

    /// Where each open descriptor leads, as the kernel spells it; of all processes that carry a tunnel's flows.
    static func descriptors(_ pid: pid_t) -> [String] {
        ([pid] + ownChildren(pid)).flatMap(descriptorsAlone)
    }

    static func descriptorsAlone(_ pid: pid_t) -> [String] {
        let folder = "/proc/\(pid)/fd"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
        }
    }

    static func holdsRing(_ pid: pid_t) -> Bool { descriptors(pid).contains { $0.contains("[io_uring]") } }

    /// Resident memory, in bytes.
    static func residentBytes(_ pid: pid_t) -> Int {
        let line = readWhole("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
        return (kibibytes.flatMap { Int($0) } ?? 0) * 1024
    }

    struct ThreadState {
        let id: String
        let cpuSeconds: Double
        /// The cores that it may run on.
        let cores: [Int]
    }

    static func threads(_ pid: pid_t) -> [ThreadState] {
        let folder = "/proc/\(pid)/task"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).map { id in
            ThreadState(
                id: id, cpuSeconds: cpuSeconds(statistics: "\(folder)/\(id)/stat"),
                cores: cores(status: "\(folder)/\(id)/status"))
        }
    }

    static func allowedCores(_ pid: pid_t) -> [Int] { cores(status: "/proc/\(pid)/status") }

    /// The kernel writes the list as `0-3,8`.
    private static func cores(status path: String) -> [Int] {
        let line = readWhole(path).split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        return (line?.split(separator: "\t").last ?? "").split(separator: ",").flatMap { range -> [Int] in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last else { return [] }
            return Array(first...last)
        }
    }

    /// Processor seconds of all threads so far, with the grain of the kernel's tick (usually 10 ms).
    static func cpuSeconds(_ pid: pid_t) -> Double { cpuSeconds(statistics: "/proc/\(pid)/stat") }

    private static func cpuSeconds(statistics path: String) -> Double {
        let stat = readWhole(path)
        guard let end = stat.lastIndex(of: ")") else { return 0 }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // utime and stime are the 14th and 15th field, the state after the name is the third.
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Those with `word` in their command line, but for our own.
    static func processes(naming word: String) -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
            .filter { readWhole("/proc/\($0)/cmdline").contains(word) && $0 != getpid() }
    }

    /// The processes that descend from `pid`, itself not among them.
    static func descendants(of pid: pid_t) -> [pid_t] {
        var parents: [pid_t: pid_t] = [:]
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let number = pid_t(entry) else { continue }
            // The name stands in parentheses and may hold anything: what counts comes after the last one.
            let stat = readWhole("/proc/\(number)/stat")
            guard let end = stat.lastIndex(of: ")") else { continue }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            if fields.count > 1, let parent = pid_t(fields[1]) { parents[number] = parent }
        }
        var found: [pid_t] = []
        var layer = [pid]
        while !layer.isEmpty {
            layer = parents.filter { layer.contains($0.value) }.map(\.key)
            found += layer
        }
        return found
    }

    /// The local address of every TCP listener of the network namespace of the calling thread, e.g. `127.0.0.1:80`.
    static func listeners(port: UInt16) -> [String] {
        var found: [String] = []
        for (file, isSix) in [("tcp", false), ("tcp6", true)] {
            for line in readWhole("/proc/thread-self/net/\(file)").split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ")
                // State 0A is TCP_LISTEN.
                guard fields.count > 3, fields[3] == "0A" else { continue }
                let local = fields[1].split(separator: ":")
                guard local.count == 2, UInt16(local[1], radix: 16) == port else { continue }
                found.append(address(String(local[0]), isSix: isSix))
            }
        }
        return found
    }

    /// The kernel prints addresses as 32-bit words in the machine's byte order.
    private static func address(_ hex: String, isSix: Bool) -> String {
        var bytes: [UInt8] = []
        let digits = Array(hex)
        for word in stride(from: 0, to: digits.count, by: 8) {
            let value = UInt32(String(digits[word..<word + 8]), radix: 16) ?? 0
            withUnsafeBytes(of: value) { bytes += $0 }
        }
        var characters = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = inet_ntop(isSix ? AF_INET6 : AF_INET, bytes, &characters, socklen_t(characters.count))
        return text(characters)
    }
}
