internal import FoundationEssentials
internal import Glibc

/// What this process uses, as Prometheus' clients tell it everywhere (proc_pid_stat(5)). nil: /proc does not say.
struct ProcessFigures {
    var processorSeconds: Double?
    var residentBytes: Double?
    var virtualBytes: Double?
    var openDescriptors: Double?
    var mostDescriptors: Double?
    /// Since 1970.
    var startedAt: Double?

    static func current() -> ProcessFigures {
        var figures = ProcessFigures()
        if let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let name = stat.lastIndex(of: ")")
        {
            // From the third field on: a program's name may have blanks.
            let fields = stat[stat.index(after: name)...].split(separator: " ").map { Double($0) }
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            if fields.count > 21, let user = fields[11], let system = fields[12], let started = fields[19] {
                figures.processorSeconds = (user + system) / ticks
                figures.virtualBytes = fields[20]
                figures.residentBytes = fields[21].map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
                figures.startedAt = bootTime.map { $0 + started / ticks }
            }
        }
        figures.openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map {
            Double($0.count)
        }
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.mostDescriptors = Double(limit.rlim_cur)
        }
        return figures
    }

    private static var bootTime: Double? {
        var (now, sinceBoot) = (timespec(), timespec())
        guard unsafe clock_gettime(CLOCK_REALTIME, &now) == 0, unsafe clock_gettime(CLOCK_BOOTTIME, &sinceBoot) == 0
        else {
            return nil
        }
        return Double(now.tv_sec - sinceBoot.tv_sec) + Double(now.tv_nsec - sinceBoot.tv_nsec) / 1e9
    }
}
