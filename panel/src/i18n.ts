// Texts in English and Chinese.  The English table defines what there is; a
// text that another language lacks does not compile.
import { signal } from "@preact/signals";

const en = {
  appName: "CPA Manager",
  demo: "demo",
  demoNote: "Made-up traffic. No gateway is contacted.",
  loading: "Loading…",
  retry: "Try again",
  language: "Language",
  theme: "Theme",
  themeAuto: "System",
  themeLight: "Light",
  themeDark: "Dark",
  logout: "Log out",
  skip: "Skip to content",
  show: "Show",
  hide: "Hide",

  loginTitle: "Log in",
  adminKey: "Admin key",
  remember: "Remember on this device",
  login: "Log in",
  loginHelp: "Where is the key?",
  loginHelpText:
    "It was shown in the terminal at the first start, and stands in admin-key.txt in the data directory until the first login. Lost it? On the server: cpactl reset-admin-key",

  setupTitle: "Connect to CPA",
  setupIntro: "Three steps. Nothing is saved before CPA has accepted its key.",
  stepAdmin: "Who you are",
  stepCpa: "Your CPA",
  stepReview: "Review",
  cpaUrl: "CPA address",
  cpaUrlHelp: "As this server reaches it, for example http://127.0.0.1:8317. Not a public domain.",
  cpaKey: "CPA management key",
  cpaKeyHelp: "remote-management.secret-key of CPA's configuration. It is stored encrypted and never shown again.",
  collect: "Collect usage",
  collectHelp: "Switches CPA's usage publishing on and takes every request into the store.",
  next: "Next",
  back: "Back",
  connect: "Connect",
  connecting: "Asking CPA…",
  yes: "yes",
  no: "no",
  fieldRequired: "Please fill this in.",

  today: "Today",
  requests: "Requests",
  failures: "Failures",
  failureRate: "{0} of requests",
  tokens: "Tokens",
  tokensIn: "Input",
  tokensOut: "Output",
  tokensCached: "of it cached",
  tokensReasoning: "of it reasoning",
  averageLatency: "Average time",
  noneYet: "none yet",

  perHour: "Requests per hour, last 24 hours",
  hour: "Hour",
  succeeded: "Succeeded",
  failed: "Failed",
  asTable: "As a table",
  asChart: "As a chart",

  newest: "Newest requests",
  newestNote: "The newest {0}",
  time: "Time",
  model: "Model",
  account: "Account",
  key: "Key",
  endpoint: "Endpoint",
  duration: "Time taken",
  firstByte: "first byte {0}",
  result: "Result",
  ok: "ok",
  details: "Details",
  unknownKey: "no key",

  collector: "Collector",
  stateRunning: "collecting",
  stateStarting: "starting",
  stateStopped: "stopped",
  stateError: "in trouble",
  lastReceived: "Last received",
  lastStored: "Last stored",
  never: "never",
  stored: "Events stored",
  deadLetters: "Dead letters",
  gaps: "Gaps",
  spool: "Waiting to be stored",
  database: "Database",
  cpa: "CPA",
  gapsHelp: "Stretches in which events may be missing: {0}.",
  whatToDo: "What to do",
  agoS: "{0} s ago",
  agoMin: "{0} min ago",
  agoH: "{0} h ago",
  agoD: "{0} days ago",

  emptyTitle: "Nothing to see yet",
  emptyNew: "Only requests from now on are collected: CPA forgets older ones.",
  emptySend: "Send a request through CPA. It appears here within a second.",
  emptySwitch: "Does CPA publish usage? usage-statistics-enabled must be on; running the setup again switches it on.",
  emptyOther: "Does another program empty the queue? Only one may.",

  errUnreachable: "The server does not answer. Is it running? Trying again by itself.",
  errDown: "The web server answers, but the application behind it does not. See its log.",
  errDatabase: "The database cannot be used just now: {0}",
  errKey: "This is not the admin key.",
  errThrottled: "Too many wrong keys. Wait {0} s.",
  errCpaRefused: "CPA refuses this management key. Check remote-management.secret-key; after five wrong tries CPA bans this server for half an hour.",
  errCpaUnreachable: "CPA is not reached at this address: {0}",
  errOther: "It did not work: {0}",
  staleNote: "Figures below are from {0}.",
};

export type Text = keyof typeof en;

const zh: Record<Text, string> = {
  appName: "CPA Manager",
  demo: "演示",
  demoNote: "流量为虚构，不连接任何网关。",
  loading: "加载中…",
  retry: "重试",
  language: "语言",
  theme: "主题",
  themeAuto: "跟随系统",
  themeLight: "浅色",
  themeDark: "深色",
  logout: "退出",
  skip: "跳到正文",
  show: "显示",
  hide: "隐藏",

  loginTitle: "登录",
  adminKey: "管理员密钥",
  remember: "在此设备上记住",
  login: "登录",
  loginHelp: "密钥在哪里？",
  loginHelpText:
    "首次启动时显示在终端里，首次登录之前也保存在数据目录的 admin-key.txt 中。丢失了？在服务器上运行：cpactl reset-admin-key",

  setupTitle: "连接 CPA",
  setupIntro: "共三步。CPA 接受密钥之前不会保存任何内容。",
  stepAdmin: "验证身份",
  stepCpa: "您的 CPA",
  stepReview: "确认",
  cpaUrl: "CPA 地址",
  cpaUrlHelp: "本服务器访问 CPA 所用的地址，例如 http://127.0.0.1:8317，不要填公网域名。",
  cpaKey: "CPA 管理密钥",
  cpaKeyHelp: "即 CPA 配置中的 remote-management.secret-key。加密保存，之后不再显示。",
  collect: "采集用量",
  collectHelp: "打开 CPA 的用量发布，并保存每一次请求。",
  next: "下一步",
  back: "上一步",
  connect: "连接",
  connecting: "正在询问 CPA…",
  yes: "是",
  no: "否",
  fieldRequired: "请填写此项。",

  today: "今天",
  requests: "请求",
  failures: "失败",
  failureRate: "占请求的 {0}",
  tokens: "Token",
  tokensIn: "输入",
  tokensOut: "输出",
  tokensCached: "其中缓存",
  tokensReasoning: "其中推理",
  averageLatency: "平均耗时",
  noneYet: "暂无",

  perHour: "最近 24 小时每小时请求数",
  hour: "小时",
  succeeded: "成功",
  failed: "失败",
  asTable: "以表格显示",
  asChart: "以图表显示",

  newest: "最新请求",
  newestNote: "最新 {0} 条",
  time: "时间",
  model: "模型",
  account: "账号",
  key: "密钥",
  endpoint: "接口",
  duration: "耗时",
  firstByte: "首字节 {0}",
  result: "结果",
  ok: "成功",
  details: "详情",
  unknownKey: "无密钥",

  collector: "采集器",
  stateRunning: "采集中",
  stateStarting: "启动中",
  stateStopped: "已停止",
  stateError: "异常",
  lastReceived: "最近接收",
  lastStored: "最近入库",
  never: "从未",
  stored: "已存事件",
  deadLetters: "死信",
  gaps: "缺口",
  spool: "等待入库",
  database: "数据库",
  cpa: "CPA",
  gapsHelp: "可能缺少事件的时段：{0} 个。",
  whatToDo: "处理办法",
  agoS: "{0} 秒前",
  agoMin: "{0} 分钟前",
  agoH: "{0} 小时前",
  agoD: "{0} 天前",

  emptyTitle: "还没有数据",
  emptyNew: "只采集从现在开始的请求：更早的 CPA 已经忘记。",
  emptySend: "通过 CPA 发送一个请求，一秒内会出现在这里。",
  emptySwitch: "CPA 是否发布用量？usage-statistics-enabled 必须打开；重新运行设置即可打开。",
  emptyOther: "是否有其他程序在取走队列？同一时间只能有一个。",

  errUnreachable: "服务器没有响应。它在运行吗？页面会自动重试。",
  errDown: "Web 服务器有响应，但后面的应用没有响应。请查看它的日志。",
  errDatabase: "数据库暂时不可用：{0}",
  errKey: "这不是管理员密钥。",
  errThrottled: "错误次数过多，请等待 {0} 秒。",
  errCpaRefused: "CPA 拒绝了此管理密钥。请检查 remote-management.secret-key；错误五次后 CPA 会封禁本服务器半小时。",
  errCpaUnreachable: "无法通过此地址访问 CPA：{0}",
  errOther: "操作失败：{0}",
  staleNote: "以下数据来自 {0}。",
};

const tables = { en, zh } as const;
export type Language = keyof typeof tables;
export const languages: readonly [Language, string][] = [
  ["en", "English"],
  ["zh", "中文"],
];

const STORE = "cpam.language";

function firstLanguage(): Language {
  const stored = localStorage.getItem(STORE);
  if (stored === "en" || stored === "zh") return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const language = signal<Language>(firstLanguage());

export function setLanguage(l: Language): void {
  language.value = l;
  localStorage.setItem(STORE, l);
}

/** A text in the chosen language; {0}, {1} are replaced by what follows. */
export function t(name: Text, ...values: (string | number)[]): string {
  return tables[language.value][name].replace(/\{(\d)\}/g, (_, i: string) => String(values[Number(i)] ?? ""));
}

/** For Intl: numbers and times as people of the language write them. */
export function locale(): string {
  return language.value === "zh" ? "zh-CN" : "en-GB";
}
