/** Texts for `OnCalendar=`, as systemd 252 judges them; a test with real tools asks it. */
export const calendars = {
  right: [
    ...["minutely", "hourly", "Daily", "quarterly", "semi-annually", "biannually", "daily UTC"],
    ...["*:0/15", "10:00 UTC", "10:00:00.5", "*-*-* *:*:00 America/New_York", "*:*:0/2", "*:00/15,3"],
    ...["Mon", "Mon,", "mon..fri", "Mon-Fri 10:00", "Mon  10:00", "Sat,Sun 08:05", "Mon,Wed..Fri"],
    ...["Tuesday..Thursday,sunday 3:30", "Wed..Wed,Wed *-1", "Thu,Fri 2012-*-1,5 11:12:13"],
    ...["*-*-1..7", "*-*~1", "*-02~03", "2012-10-15", "10-15", "03-05 08:05:40", "5/3-*", "*-* 10:00"],
    ...["99-1-1", "*-2-30", "1..5/2:00", "12,14,13,12:20,10,30", "@1395716396", "daily Europe/Berlin"],
  ],
  wrong: [
    ...["", " ", "10", "Mon 1", "now", "reboot", "secondly", "hourlyy", "daily 10:00", "Sun 2024"],
    ...["Fun", "mon..", "Mon-", "Fri..Mon", "sun..tue", "monday tuesday", "25:00", "10:61", "24:00"],
    ...["*:*/5", "*/2-*-*", "*:*:*/2", "*-*-1/0", "5..3:00", "*:5..3", "0:0/7.5", "00:00:60", "10:00:"],
    ...["10:", ":00", "2012-", "*-13-01", "*-00-01", "1-32", "1969-1-1", "2200-1-1", "*,3:00", "-5"],
    ...["@-5", "@1395716396.5", "+1", "*-*-* 4:00 +02:00", "0:0:59.9999999"],
  ],
} as const;
